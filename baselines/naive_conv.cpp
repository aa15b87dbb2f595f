// SPDX-License-Identifier: MIT
// naive_conv: SSIM as its formula is usually typed in: five 11x11 depthwise convolutions and a chain of operators.
//
// Idea: the 2-D window at once, 121 taps an element and statistic. For `same` on the CPU the images are padded once and
// convolved without padding: LibTorch's own padded depthwise convolution takes 26 s a call at 1x3x1080x1920 on two
// cores, the unpadded one 0.6 s. On a GPU the convolution pads by itself, which saves two passes. Cost: about 24
// kernels forward, 220 bytes and 605 FMA an element. Run: ./suite test --filter ':naive_conv:'
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>

#include "gradient_into.hpp"
#include "libtorch_row.hpp"
#include "libtorch_rows.hpp"

namespace ssim::baselines {
namespace {

at::Tensor mean(const Images& images) {
  const Problem& problem = images.problem;
  const bool same = problem.padding == Padding::same, pad_first = same && images.x.is_cpu();
  const at::Tensor x = pad_first ? pad_into(images.x, kHalo, images.grad_x) : images.x;
  const at::Tensor y = pad_first ? at::constant_pad_nd(images.y, {kHalo, kHalo, kHalo, kHalo}) : images.y;
  const std::int64_t margin = same && !pad_first ? kHalo : 0;
  const at::Tensor& window = window_2d(x);
  const auto blur = [&](const at::Tensor& image) {
    return at::conv2d(image, window, {}, 1, margin, 1, problem.channels);
  };
  const at::Tensor mu_x = blur(x), mu_y = blur(y);
  const at::Tensor mu_xx = mu_x.pow(2), mu_yy = mu_y.pow(2), mu_xy = mu_x * mu_y;
  const at::Tensor var_x = blur(x * x) - mu_xx;
  const at::Tensor var_y = blur(y * y) - mu_yy;
  const at::Tensor covariance = blur(multiply_into(x, y, pad_first ? nullptr : images.grad_x)) - mu_xy;
  const at::Tensor map = ((mu_xy * 2 + problem.c1) * (covariance * 2 + problem.c2)) /
                         ((mu_xx + mu_yy + problem.c1) * (var_x + var_y + problem.c2));
  return map.mean();
}

std::string supports(Device, const Problem&, Mode) { return ""; }

Cost cost(Device device, const Problem& problem, Mode mode) {
  const double n = static_cast<double>(problem.elements());
  const bool train = mode == Mode::train;
  return {n * (train ? 460 : 220), n * (train ? 968 : 605), device == Device::cpu ? 0 : train ? 58 : 24};
}

}  // namespace

Implementation naive_conv(Device device) {
  return libtorch_row({.name = "naive_conv",
                       .idea = "the formula as usually typed in: 11x11 depthwise conv2d, five statistics",
                       .mean = mean,
                       .supports = supports,
                       .cost = cost,
                       .peak_bytes_per_element = {84, 93}},
                      device);
}

}  // namespace ssim::baselines
