// SPDX-License-Identifier: MIT
#include "checks.hpp"

#include <c10/core/SymBool.h>
#include <c10/util/Exception.h>

#include <cmath>

namespace ssim::op {
namespace {

bool holds(const c10::SymBool& condition) { return condition.expect_true(__FILE__, __LINE__); }

void check_tensor(const char* name, const at::Tensor& image) {
  TORCH_CHECK_VALUE(image.defined(), "fused_ssim: ", name, " is an undefined tensor; it must be an image batch");
  TORCH_CHECK_VALUE(image.layout() == at::kStrided, "fused_ssim: ", name, " has layout ", image.layout(),
                    "; it must be Strided");
  TORCH_CHECK_TYPE(image.scalar_type() == at::kFloat, "fused_ssim: ", name, " has dtype ", image.scalar_type(),
                   "; it must be Float (torch.float32)");
  TORCH_CHECK_VALUE(image.is_cpu() || image.is_cuda() || image.is_meta(), "fused_ssim: ", name, " is on device ",
                    image.device(), "; it must be on cpu, cuda or meta");
  TORCH_CHECK_VALUE(image.dim() == 4, "fused_ssim: ", name, " has shape ", image.sym_sizes(), ", that is ", image.dim(),
                    " dimensions; it must have 4, [batch, channels, height, width]");
}

}  // namespace

Padding check_inputs(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding) {
  check_tensor("img1", img1);
  check_tensor("img2", img2);
  TORCH_CHECK_VALUE(img1.device() == img2.device(), "fused_ssim: img1 is on device ", img1.device(),
                    " and img2 on device ", img2.device(), "; they must be on the same device");
  const auto shape1 = img1.sym_sizes(), shape2 = img2.sym_sizes();
  for (std::size_t i = 0; i < 4; ++i) {
    TORCH_CHECK_VALUE(holds(shape1[i].sym_eq(shape2[i])), "fused_ssim: img1 has shape ", shape1, " and img2 has shape ",
                      shape2, "; they must be the same");
  }
  for (std::size_t i = 0; i < 4; ++i) {
    TORCH_CHECK_VALUE(holds(shape1[i].sym_ge(1)), "fused_ssim: img1 has shape ", shape1,
                      "; it is empty, and every size must be at least 1");
  }
  const bool valid = padding == "valid";
  TORCH_CHECK_VALUE(valid || padding == "same", "fused_ssim: padding is \"", padding,
                    "\"; it must be \"same\" or \"valid\"");
  for (std::size_t i = 2; valid && i < 4; ++i) {
    TORCH_CHECK_VALUE(holds(shape1[i].sym_ge(kWindow)), "fused_ssim: img1 has shape ", shape1,
                      "; with padding \"valid\" height and width must be at least ", kWindow);
  }
  return valid ? Padding::valid : Padding::same;
}

void check_weight(const at::Tensor& weight, const at::Tensor& img1) {
  TORCH_CHECK_VALUE(weight.defined() && weight.layout() == at::kStrided,
                    "fused_ssim: weight must be a number or a dense tensor");
  TORCH_CHECK_TYPE(weight.scalar_type() == at::kFloat, "fused_ssim: weight has dtype ", weight.scalar_type(),
                   "; it must be Float (torch.float32)");
  TORCH_CHECK_VALUE(holds(weight.sym_numel().sym_eq(1)), "fused_ssim: weight has shape ", weight.sym_sizes(),
                    "; it must have one element");
  TORCH_CHECK_VALUE(weight.device() == img1.device(), "fused_ssim: weight is on device ", weight.device(),
                    " and img1 on device ", img1.device(), "; they must be on the same device, or weight a number");
}

float check_weight(double weight) {
  const auto rounded = static_cast<float>(weight);
  TORCH_CHECK_VALUE(std::isfinite(rounded), "fused_ssim: weight is ", weight, "; it must be finite in fp32");
  return rounded;
}

Problem problem_of(const at::Tensor& img1, Padding padding) {
  return {.batch = img1.size(0),
          .channels = img1.size(1),
          .height = img1.size(2),
          .width = img1.size(3),
          .padding = padding};
}

}  // namespace ssim::op
