// SPDX-License-Identifier: MIT
// A LibTorch program: prints what kernels.cpp prints, by the operator and its derivative.
#include <cstdio>

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>

#include <fused_ssim/fused_ssim.hpp>

int main() {
  const auto picture = [](long step) {
    return at::arange(2 * 3 * 40 * 50, at::kLong).mul(step).remainder(256).to(at::kFloat).div(255).view({2, 3, 40, 50});
  };
  at::Tensor x = picture(37);
  x.set_requires_grad(true);
  const at::Tensor mean = ssim::fused_ssim(x, picture(11), "valid");
  mean.backward();
  std::printf("%.9f %.9e\n", mean.item<double>(), x.grad().to(at::kDouble).square().sum().item<double>());
}
