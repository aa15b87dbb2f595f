// SPDX-License-Identifier: MIT
// What the operator asks of its arguments, the same in every implementation of it, the fake one included.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/ssim.hpp"

namespace ssim::op {

/// Throws c10::ValueError, or c10::TypeError for a dtype, which names the argument, what it is, and what is allowed.
/// Sizes may be symbolic: what is asked of them becomes a guard.
Padding check_inputs(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding);

/// The same of a weight: one fp32 on the device of img1.
void check_weight(const at::Tensor& weight, const at::Tensor& img1);

/// The same of a weight that is a number: finite in fp32, which it is rounded to.
float check_weight(double weight);

/// The problem of two tensors that passed; their sizes must be numbers.
Problem problem_of(const at::Tensor& img1, Padding padding);

}  // namespace ssim::op
