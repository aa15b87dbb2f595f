// SPDX-License-Identifier: MIT
// Value and gradient on tensor cores at fp32 accuracy, in one pass and one launch.
//
// Eight warps make the statistics of 256 columns as the forward kernel does (tensor_statistics.cuh), turn each position
// into SSIM and the three fields of the gradient (pixel.hpp: F = gd + gs, q, r), and hand these over, split into hi and
// lo, through a ring in shared memory. Eight more warps convolve the fields of 240 of these columns the same way, one
// step behind (or otherwise: NarrowStrips, WholePlanes; narrow last strips: Tails in tensor_plan.cuh), and combine them
// with the pixels that are still in the ring of images:
//   d mean / d x = (4 / f) (G * F~ + scale (d G * q~ + s' G * r~)) / positions
// where f = kFieldScale, tilde = fields in the units of the statistics, s' = s less the pivot. Nothing passes through
// device memory but the images and the gradient: 12 bytes an element.
//
// stmatrix transposes on the way: a lane has one column and two rows of a field, a B operand wants one row and two
// columns. Both roles meet at mbarriers alone, so either may run ahead as far as the rings reach.
//
// Cost model: a multiprocessor's step is 8 rows x 240 columns. Per scheduler two warps of statistics (2 x 764 cycles)
// and fields (2 x 310), and 3.75 tiles of 16 columns of gradient (240 each): 3050 cycles for 480 elements, 6.1 ps an
// element at 100 %; reports/lab-notes.md has the parts.
//
// Range: that of the statistics, and fields below 65504 / kFieldScale. A warp notes the segments in which it got
// anything that is not finite; when the block is through, those warps' columns are done again in plain fp32
// (range_fallback.cuh).
#pragma once

#include "tensor_fields.cuh"
#include "tensor_gradient.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

template <typename AnyMaps>
__global__ void __launch_bounds__(kTrainThreads, 1)
    tensor_train(const __grid_constant__ TrainParametersWith<AnyMaps> p) {
  if constexpr (kRegistersMove) {
    auto& memory = shared<TrainMemory<AnyMaps>>();
    if (threadIdx.x == kTrainThreads - 32) {  // that loads the images, and goes ahead before the barrier
      p.maps.prefetch();
      memory.images.init(kFieldWarps + kGradientWarps);
      for (int i = 0; i < kFieldStages; ++i) {
        mbarrier_init(memory.full[i], kFieldWarps);
        mbarrier_init(memory.empty[i], kGradientWarps);
      }
      fence_mbarrier_init();
    }
    for (unsigned i = threadIdx.x; i < sizeof(memory.repair) / sizeof(unsigned); i += kTrainThreads) {
      (&memory.repair[0][0])[i] = 0;
    }
    for (unsigned i = threadIdx.x; i < kFieldStages * kFields * 2 * kGroup * kPad; i += kTrainThreads) {
      const unsigned row = i / kPad;
      (&memory.fields[0].half[0][0][0][0])[row * (kFieldColumns + kPad) + kFieldColumns + i % kPad] = 0;
    }
    if (threadIdx.x < kPad) memory.first_pad[threadIdx.x] = 0;
    if (AnyMaps::kRowsApart && threadIdx.x < sizeof(Zeros) / sizeof(float)) memory.zeros.value[threadIdx.x] = 0;
    if (threadIdx.x < kTrainThreads / 32) memory.any_repair[threadIdx.x] = 0;
    wait_for_kernels_before();
    double total = 0;
    if (threadIdx.x < 32 * kFieldWarps) {
      raise_registers<kFieldRegisters>();
      FieldWarp<AnyMaps> warp(p, memory);
      warp.run();
      sync_roles<kTrainThreads, Role::first>();
      if (memory.any_repair[threadIdx.x / 32] | memory.any_repair[kFieldWarps + threadIdx.x / 32]) warp.repair();
      total = warp.total();
    } else {
      lower_registers<kGradientRegisters>();
      GradientWarp<AnyMaps> warp(p, memory);
      warp.run();
      sync_roles<kTrainThreads, Role::second>();
    }
    let_next_begin();
    finish_mean<kTrainThreads>(total, memory.mean, p.mean);
  }
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
