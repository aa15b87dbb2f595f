// SPDX-License-Identifier: MIT
// The mean in the same launch, deterministic, by one atomic addition a block: to one word of 64 bits that counts
// arrivals in its low bits and adds the blocks' sums in fixed point above them. Integers add up to the same in whatever
// order the blocks come, and the last one to arrive finds the whole sum in what its addition returns: no list of sums,
// no fence, nothing read afterwards. It leaves the word zero.
//
// Precision: of the 64 bits those below `shift` count the blocks and flag a sum that is none (NaN, infinite, beyond
// what 1 - SSIM can be); the others hold up to 4 for each position. Each block's sum is off by half a unit at most, and
// a unit is 4e-16 of the mean with 132 blocks, 1.4e-14 with 4096.
#pragma once

#include <cmath>
#include <limits>

#include "primitives.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {

/// What finish_mean needs in shared memory.
struct BlockMean {
  double warp_sum[32];
};

/// Where block sums are added up, and where the mean goes.
struct MeanSum {
  unsigned long long* word;  // the workspace's control block: zero before the launch and after it
  int shift;                 // of the sums: below them arrivals, and the flag in the last bit before them
  double most;               // that a block's sum can be
  double to_fixed, scale;    // a sum to fixed point; fixed point to its share of the mean
  double* mean;
  float* mean_fp32;  // the same rounded, where it is no null pointer
};

/// workspace_bytes of rows that keep nothing there but the word.
inline std::int64_t word_alone(const Problem&, Mode) { return kControlBytes; }

inline MeanSum mean_sum(const Problem& problem, const Arguments& arguments, std::int64_t blocks) {
  const double counted = static_cast<double>(problem.counted());
  int shift = 1;
  while (blocks >> (shift - 1)) ++shift;
  MeanSum sum{};
  sum.word = static_cast<unsigned long long*>(arguments.workspace);
  sum.shift = shift;
  sum.most = 4 * counted;  // 1 - SSIM is at most 2
  sum.to_fixed = std::ldexp(1.0, 62 - shift - std::ilogb(sum.most));
  sum.scale = SSIM_DRIFT() / (sum.to_fixed * counted);
  sum.mean = arguments.mean;
  sum.mean_fp32 = arguments.mean_fp32;
  return sum;
}

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

/// Every thread of every block calls it once with its own sum of 1 - SSIM. Linear block of kThreads, a multiple of 32.
template <int kThreads>
__device__ void finish_mean(double loss, BlockMean& shared_memory, const MeanSum& sum) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  double own = block_sum<kThreads>(loss, shared_memory);
  if (thread != 0) return;
  if (SSIM_DEFECT(last_block_forgotten) && block == blocks - 1) own = 0;
  const unsigned long long flag = 1ull << (sum.shift - 1);
  unsigned long long add = 1;
  if (own >= -sum.most && own <= sum.most) {
    add += static_cast<unsigned long long>(round_to_int64(own * sum.to_fixed)) << sum.shift;
  } else if (!SSIM_DEFECT(nan_swallowed)) {
    atomic_or(sum.word, flag);  // before the arrival: both are this thread's, on the same word
  }
  const unsigned long long before = atomic_add(sum.word, add);
  if ((before & (flag - 1)) != blocks - 1) return;
  if (!SSIM_DEFECT(control_block_dirty)) *sum.word = 0;
  const long long total = static_cast<long long>(before + (SSIM_DEFECT(arrival_early) ? 0 : add)) >> sum.shift;
  const double mean =
      before & flag ? std::numeric_limits<double>::quiet_NaN() : fma(-sum.scale, static_cast<double>(total), 1.0);
  *sum.mean = mean;
  if (sum.mean_fp32 && !SSIM_DEFECT(rounded_mean_forgotten)) *sum.mean_fp32 = static_cast<float>(mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
