// SPDX-License-Identifier: MIT
// The tensor cores' ceiling: independent chains of the product that every supported card has, mma.m16n8k16 of fp16 into
// fp32, with operands in registers.
//
// A product takes some 30 cycles; 4 chains in each of 8 warps a scheduler keep the unit busy. Cost: 4096 x 4 x steps
// flops a warp.
#include "gpu_kernels.hpp"

namespace ssim::bench {
namespace {

__global__ void __launch_bounds__(kTensorThreads) chains(int steps, unsigned one, float* sink) {
  float sum[kTensorChains][4] = {};
#pragma unroll 4
  for (int s = 0; s < steps; ++s) {
#pragma unroll
    for (int i = 0; i < kTensorChains; ++i) {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, "
          "{%0, %1, %2, %3};"
          : "+f"(sum[i][0]), "+f"(sum[i][1]), "+f"(sum[i][2]), "+f"(sum[i][3])
          : "r"(one));
    }
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < kTensorChains; ++i) total += sum[i][0] + sum[i][1] + sum[i][2] + sum[i][3];
  if (total == -1.0f) *sink = total;  // never: all terms are positive, but the compiler cannot know
}

}  // namespace

cudaError_t tensor_chains(int blocks, int steps, float* sink, cudaStream_t stream) {
  chains<<<blocks, kTensorThreads, 0, stream>>>(steps, 0x10011001u, sink);  // fp16 numbers near 5e-4
  return cudaGetLastError();
}

}  // namespace ssim::bench
