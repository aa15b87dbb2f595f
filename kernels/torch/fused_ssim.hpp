// SPDX-License-Identifier: MIT
// The LibTorch operator for C++ callers; from Python it is torch.ops.ssim.fused_ssim, or the package fused_ssim.
//
//     at::Tensor loss = 1 - ssim::fused_ssim(predicted, target);
//     loss.backward();                                              // predicted.grad(); target gets none
//
// Bad input throws c10::ValueError (shape, device, padding), c10::TypeError (dtype) or c10::Error (img2 that requires a
// gradient while grad mode is on); differentiating a gradient throws c10::NotImplementedError.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace ssim {

/// Mean SSIM of two image batches, an fp32 scalar on their device, by the production row of that device.
///
/// img1, img2: fp32, [batch, channels, height, width], the same shape and device, values meant to be in [0, 1]; those
/// that are not contiguous are copied first. padding: "same" (zeros outside) or "valid" (height and width >= 11).
/// The gradient goes to img1 alone. With train = false, without grad mode, or if img1 requires no gradient, nothing is
/// kept for a backward; otherwise one tensor of img1's size is. CUDA: on the current stream; nothing waits for the
/// device.
at::Tensor fused_ssim(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding = "same",
                      bool train = true);

/// Mean SSIM and its gradient to img1 (shape of img1, contiguous) at once, outside autograd: differentiating either
/// result is an error.
std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding = "same");

}  // namespace ssim
