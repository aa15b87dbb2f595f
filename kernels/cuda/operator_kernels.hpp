// SPDX-License-Identifier: MIT
// What the LibTorch operator runs on a GPU beside a row, in stream order: one launch each, no synchronisation.
#pragma once

#include <cstdint>

#include "../ssim.hpp"

#define SSIM_OPERATOR_KERNELS                                       \
  /** *to = value. */                                               \
  Status store(float value, float* to, void* stream);               \
  /** result[i] = values[i] * *factor for i < count. The two may be \
      the same, and then nothing is touched where the factor is 1;  \
      else their addresses must be equal modulo 16 bytes. */        \
  Status scale(const float* values, float* result, std::int64_t count, const float* factor, void* stream);

namespace ssim {
namespace cuda {
SSIM_OPERATOR_KERNELS
}  // namespace cuda
namespace cuda_emulated {
SSIM_OPERATOR_KERNELS
}  // namespace cuda_emulated
}  // namespace ssim

#undef SSIM_OPERATOR_KERNELS
