// SPDX-License-Identifier: MIT
// The mean in the same launch, deterministic: each block leaves one fp64 sum in the workspace, the last block to arrive
// adds them in a fixed order. The arrival counter lives in the control block and wraps to zero by itself.
#pragma once

#include "primitives.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {

/// What finish_mean needs in shared memory.
struct BlockMean {
  double warp_sum[32];
  unsigned arrival;
};

/// Where the mean goes: as fp64 and, where fp32 is no null pointer, rounded as well.
struct MeanOut {
  double* fp64;
  float* fp32;
};
inline MeanOut mean_out(const Arguments& arguments) { return {arguments.mean, arguments.mean_fp32}; }

/// Grids up to that many blocks are summed by one warp: what waits for the last block is then a few loads at once.
inline constexpr unsigned kFewBlocks = 512;

/// Sum over the warp in a fixed order, valid in lane 0.
__device__ __forceinline__ double warp_sum(double value) {
  for (int delta = 16; delta > 0; delta /= 2) value += shuffle_down(value, delta);
  return value;
}

/// Sum over the block's threads in a fixed order, valid in thread 0. Linear block of kThreads (a multiple of 32).
template <int kThreads>
__device__ double block_sum(double value, BlockMean& shared_memory) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  value = warp_sum(value);
  if (thread % 32 == 0) shared_memory.warp_sum[thread / 32] = value;
  if (!SSIM_DEFECT(barrier_missing)) sync_block();
  if (thread >= 32) return 0;
  return warp_sum(thread < kThreads / 32 ? shared_memory.warp_sum[thread] : 0);
}

/// Sum of the blocks' sums by one warp, in a fixed order, valid in lane 0.
__device__ __forceinline__ double few_blocks_sum(const double* sums, unsigned blocks, unsigned lane) {
  constexpr unsigned kAtOnce = kFewBlocks / 32;
  double own[kAtOnce];
#pragma unroll
  for (unsigned i = 0; i < kAtOnce; ++i) own[i] = lane + 32 * i < blocks ? load_global(&sums[lane + 32 * i]) : 0;
  double total = 0;
#pragma unroll
  for (unsigned i = 0; i < kAtOnce; ++i) total += own[i];
  return warp_sum(total);
}

/// Every thread of every block calls it once with its own sum of 1 - SSIM. mean = 1 - total * inverse_count.
/// `sums` has one double a block; `counter` is zero before the launch and after it.
template <int kThreads>
__device__ void finish_mean(double loss, BlockMean& shared_memory, double* sums, unsigned* counter,
                            double inverse_count, MeanOut mean) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const double own = block_sum<kThreads>(loss, shared_memory);
  const bool few = blocks <= kFewBlocks;
  if (few && thread >= 32) return;
  // The defect leaves out the last block's sum, whichever that is: to be one early would go well whenever two are
  // close.
  const bool early = SSIM_DEFECT(arrival_early);
  unsigned arrival = 0;
  if (thread == 0) {
    if (!early) sums[block] = own;
    fence_device();
    arrival = atomic_increment_wrap(counter, blocks - (SSIM_DEFECT(control_block_dirty) ? 0 : 1));
    shared_memory.arrival = arrival;
  }
  if (few) {
    arrival = shuffle(arrival, 0);
  } else {
    sync_block();
    arrival = shared_memory.arrival;
  }
  const bool last = arrival == blocks - 1;
  if (early && !last && thread == 0) sums[block] = own;
  if (!last) return;
  fence_device();
  const unsigned summed = blocks - (SSIM_DEFECT(last_block_forgotten) ? 1 : 0);
  double total = 0;
  if (few) {
    total = few_blocks_sum(sums, summed, thread);
  } else {
    double partial = 0;
    for (unsigned i = thread; i < summed; i += kThreads) partial += load_global(&sums[i]);
    total = block_sum<kThreads>(partial, shared_memory);
  }
  if (thread != 0) return;
  const double value = 1.0 - total * inverse_count;
  *mean.fp64 = value;
  if (mean.fp32 && !SSIM_DEFECT(rounded_mean_forgotten)) *mean.fp32 = static_cast<float>(value);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
