// SPDX-License-Identifier: MIT
// The FP32 ceiling's kernel: independent chains of multiply-adds in registers, nothing else.
//
// An FMA takes 4 cycles; 8 chains in each of many warps keep every unit busy. Cost: 2 x 8 x steps flops a thread.
#include "gpu_kernels.hpp"

namespace ssim::bench {
namespace {

__global__ void __launch_bounds__(kFmaThreads) chains(int steps, float scale, float shift, float* sink) {
  float chain[kFmaChains];
#pragma unroll
  for (int i = 0; i < kFmaChains; ++i) chain[i] = shift * static_cast<float>(i + 1) + static_cast<float>(threadIdx.x);
#pragma unroll 16
  for (int s = 0; s < steps; ++s) {
#pragma unroll
    for (int i = 0; i < kFmaChains; ++i) chain[i] = fmaf(chain[i], scale, shift);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kFmaChains; ++i) sum += chain[i];
  if (sum == -1.0f) *sink = sum;  // never: all terms are positive, but the compiler cannot know
}

}  // namespace

cudaError_t fma_chains(int blocks, int steps, float* sink, cudaStream_t stream) {
  chains<<<blocks, kFmaThreads, 0, stream>>>(steps, 0.999f, 0.001f, sink);
  return cudaGetLastError();
}

}  // namespace ssim::bench
