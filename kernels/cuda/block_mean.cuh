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

/// Sum over the block's threads in a fixed order, valid in thread 0. Linear block of kThreads (a multiple of 32).
template <int kThreads>
__device__ double block_sum(double value, BlockMean& shared_memory) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  for (int delta = 16; delta > 0; delta /= 2) value += shuffle_down(value, delta);
  if (thread % 32 == 0) shared_memory.warp_sum[thread / 32] = value;
  if (!SSIM_DEFECT(barrier_missing)) sync_block();
  double total = 0;
  if (thread == 0) {
    for (int warp = 0; warp < kThreads / 32; ++warp) total += shared_memory.warp_sum[warp];
  }
  sync_block();
  return total;
}

/// Every thread of every block calls it once with its own sum of 1 - SSIM. *mean = 1 - total * inverse_count.
/// `sums` has one double a block; `counter` is zero before the launch and after it.
template <int kThreads>
__device__ void finish_mean(double loss, BlockMean& shared_memory, double* sums, unsigned* counter, double count,
                            double* mean) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const double own = block_sum<kThreads>(loss, shared_memory);
  // The defect leaves out the last block's sum, whichever that is: to be one early would go well whenever two are
  // close.
  const bool early = SSIM_DEFECT(arrival_early);
  if (thread == 0) {
    if (!early) sums[block] = own;
    fence_device();
    shared_memory.arrival = atomic_increment_wrap(counter, blocks - (SSIM_DEFECT(control_block_dirty) ? 0 : 1));
  }
  sync_block();
  const bool last = shared_memory.arrival == blocks - 1;
  if (early && !last && thread == 0) sums[block] = own;
  if (!last) return;
  fence_device();
  double partial = 0;
  for (unsigned i = thread; i < blocks - (SSIM_DEFECT(last_block_forgotten) ? 1 : 0); i += kThreads) {
    partial += load_global(&sums[i]);
  }
  const double total = block_sum<kThreads>(partial, shared_memory);
  if (thread == 0) *mean = 1.0 - total / count;
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
