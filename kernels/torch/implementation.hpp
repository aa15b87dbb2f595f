// SPDX-License-Identifier: MIT
// The operator on real devices: what operator.cpp registers.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "kernels/ssim.hpp"

namespace ssim::op {

/// Factor of the gradient: a tensor, or else a number.
struct Weight {
  std::optional<at::Tensor> tensor;
  float number = 1;
};

/// A status that is not ok becomes an exception.
void raise(const Status& status);

/// The memory that this thread's switches lend for img1's gradient; undefined without.
at::Tensor lent_gradient(const at::Tensor& img1);

/// Mean SSIM of two image batches; with `gradient`, also its gradient times the weight.
at::Tensor run_cpu(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight& weight,
                   at::Tensor* gradient);
at::Tensor run_cuda(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight& weight,
                    at::Tensor* gradient);

/// gradient * factor on their CUDA device, in stream order: where the gradient lies, or in memory of its own.
at::Tensor scale_cuda(const at::Tensor& gradient, const at::Tensor& factor, bool in_place);

}  // namespace ssim::op
