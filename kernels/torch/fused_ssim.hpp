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

#include <optional>
#include <tuple>

namespace ssim {

/// Mean SSIM of two image batches, an fp32 scalar on their device, by the production row of that device.
///
/// img1, img2: fp32, [batch, channels, height, width], the same shape and device, values meant to be in [0, 1]
/// (finite ones up to 1e12 are right too, but slower; beyond, the result is right or NaN); images that are not
/// contiguous are copied first. padding: "same" (zeros outside) or "valid" (height and width >= 11).
/// The gradient goes to img1 alone. With train = false, without grad mode, or if img1 requires no gradient, nothing is
/// kept for a backward; otherwise one tensor of img1's size is. CUDA: on the current stream; nothing waits for the
/// device.
at::Tensor fused_ssim(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding = "same",
                      bool train = true);

/// Mean SSIM, and weight * d mean / d img1 (shape of img1, contiguous), at once and outside autograd: for those who
/// know the weight up front, so that no pass over the gradient is needed. Differentiating either result is an error.
///
/// weight: none for 1; one fp32 on the images' device; or a number that is finite in fp32, which on CUDA is sent to the
/// device only when it is another one than at the call before.
///
///     auto [value, gradient] = ssim::fused_ssim_with_grad(predicted.detach(), target, "same", -0.2);
///     predicted.backward(gradient);                                 // of 0.2 * (1 - value)
std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding = "same",
                                                        const std::optional<at::Tensor>& weight = std::nullopt);
std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding, double weight);

}  // namespace ssim
