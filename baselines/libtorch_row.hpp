// SPDX-License-Identifier: MIT
// From a formula written with LibTorch's operators to a row of the contract, for the CPU and for CUDA.
//
// What the row adds to the formula, and what that costs: the raw pointers are wrapped without a copy; training is
// forward and backward through autograd, and autograd sums the gradient in the contract's own memory
// (gradient_into.hpp), so no copy follows; the mean becomes fp64 by one scalar kernel on the row's stream. Nothing
// waits for the device, and what LibTorch throws becomes a Status.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "kernels/implementation.hpp"

namespace ssim::baselines {

/// The two images of one call. In training x requires a gradient and grad mode is on.
struct Images {
  at::Tensor x, y;  // [B, C, H, W]
  float* grad_x;    // where the gradient to x is to end up; nullptr in inference
  const Problem& problem;
};

/// What a baseline is, beside the device that it runs on.
struct Formula {
  std::string name, idea;
  at::Tensor (*mean)(const Images& images);  // the mean SSIM, an fp32 scalar
  std::string (*supports)(Device device, const Problem& problem, Mode mode);
  Cost (*cost)(Device device, const Problem& problem, Mode mode);
  /// Bytes an element that LibTorch holds at its peak, beside images and gradient: infer, train. Measured on the CPU
  /// as growth of the resident set in one call at 1x3x540x960, every allocation by mmap.
  double peak_bytes_per_element[2];
};

/// The row. Problems that need more memory than the device has, or 64-bit indices, are refused with the reason.
Implementation libtorch_row(const Formula& formula, Device device);

/// The 11 taps in fp32 where `like` lives: [channels, 1, 11, 1], or their outer product [channels, 1, 11, 11].
/// Computed once and kept, because building them is no part of the work that is compared.
const at::Tensor& window_1d(const at::Tensor& like);
const at::Tensor& window_2d(const at::Tensor& like);

}  // namespace ssim::baselines
