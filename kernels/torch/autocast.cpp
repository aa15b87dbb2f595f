// SPDX-License-Identifier: MIT
// Under autocast the operator computes in fp32, whatever the images' type: SSIM loses its digits in less. The gradient
// comes back in the images' type. Cost: a copy of each image that is not fp32; nothing outside of autocast.
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "fused_ssim.hpp"

namespace ssim::op {
namespace {

template <c10::DeviceType kDevice, typename Call>
auto in_fp32(const at::Tensor& img1, const at::Tensor& img2, const Call& call) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(
      at::autocast::get_autocast_dispatch_key_from_device_type(kDevice));
  const auto cast = [](const at::Tensor& image) { return at::autocast::cached_cast(at::kFloat, image, kDevice); };
  return call(cast(img1), cast(img2));
}

template <c10::DeviceType kDevice>
void register_all(torch::Library& library) {
  library.impl("fused_ssim", [](const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool train) {
    return in_fp32<kDevice>(img1, img2,
                            [&](const at::Tensor& x, const at::Tensor& y) { return fused_ssim(x, y, padding, train); });
  });
  library.impl("fused_ssim_with_grad", [](const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding,
                                          const std::optional<at::Tensor>& weight) {
    return in_fp32<kDevice>(img1, img2, [&](const at::Tensor& x, const at::Tensor& y) {
      return fused_ssim_with_grad(x, y, padding, weight);
    });
  });
  library.impl("fused_ssim_with_grad.number",
               [](const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, double weight) {
                 return in_fp32<kDevice>(img1, img2, [&](const at::Tensor& x, const at::Tensor& y) {
                   return fused_ssim_with_grad(x, y, padding, weight);
                 });
               });
}

}  // namespace
}  // namespace ssim::op

TORCH_LIBRARY_IMPL(ssim, AutocastCPU, library) { ssim::op::register_all<c10::kCPU>(library); }
TORCH_LIBRARY_IMPL(ssim, AutocastCUDA, library) { ssim::op::register_all<c10::kCUDA>(library); }
