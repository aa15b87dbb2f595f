// SPDX-License-Identifier: MIT
// pytorch_mssim: the work of the Python package pytorch-msssim 1.0.0 (`ssim`, data_range = 1), operator by operator.
//
// Idea: five images (x, y, x^2, y^2, xy) are each convolved along columns, then along rows, by depthwise conv2d without
// padding; the map is a chain of elementwise operators; mean per plane, then over planes. What the package computes and
// drops (the means of the contrast map, a multiplication by its compensation factor of 1) is computed here too. Its
// window is built by every call; here it is built once.
// Cost: about 37 kernels forward, 312 bytes and 110 FMA an element; about twice that with the backward.
// Run: ./suite test --filter ':pytorch_mssim:'
#include <ATen/TensorOperators.h>
#include <ATen/ops/conv2d.h>

#include "gradient_into.hpp"
#include "libtorch_row.hpp"
#include "libtorch_rows.hpp"

namespace ssim::baselines {
namespace {

at::Tensor blur(const at::Tensor& image, const at::Tensor& taps) {
  const std::int64_t channels = image.size(1);
  const at::Tensor columns = at::conv2d(image, taps, {}, 1, at::IntArrayRef{0}, 1, channels);
  return at::conv2d(columns, taps.transpose(2, 3), {}, 1, at::IntArrayRef{0}, 1, channels);
}

at::Tensor mean(const Images& images) {
  const auto& [x, y, grad_x, problem] = images;
  const at::Tensor& taps = window_1d(x);
  const double compensation = 1.0;
  const at::Tensor mu_x = blur(x, taps), mu_y = blur(y, taps);
  const at::Tensor mu_xx = mu_x.pow(2), mu_yy = mu_y.pow(2), mu_xy = mu_x * mu_y;
  const at::Tensor var_x = (blur(x * x, taps) - mu_xx) * compensation;
  const at::Tensor var_y = (blur(y * y, taps) - mu_yy) * compensation;
  const at::Tensor covariance = (blur(multiply_into(x, y, grad_x), taps) - mu_xy) * compensation;
  const at::Tensor contrast = (covariance * 2 + problem.c2) / (var_x + var_y + problem.c2);
  const at::Tensor map = ((mu_xy * 2 + problem.c1) / (mu_xx + mu_yy + problem.c1)) * contrast;
  const at::Tensor per_plane = map.flatten(2).mean(-1);
  const at::Tensor dropped = contrast.flatten(2).mean(-1);
  return per_plane.mean();
}

std::string supports(Device, const Problem& problem, Mode) {
  return problem.padding == Padding::valid ? "" : "pytorch-msssim has no padding `same`";
}

// Counted from the operators above: bytes that each reads and writes, were nothing kept in cache.
Cost cost(Device device, const Problem& problem, Mode mode) {
  const double n = static_cast<double>(problem.elements());
  const bool train = mode == Mode::train;
  return {n * (train ? 684 : 312), n * (train ? 176 : 110), device == Device::cpu ? 0 : train ? 79 : 37};
}

}  // namespace

Implementation pytorch_mssim(Device device) {
  return libtorch_row({.name = "pytorch_mssim",
                       .idea = "pytorch-msssim 1.0.0 in LibTorch C++: separable depthwise conv2d, five statistics",
                       .mean = mean,
                       .supports = supports,
                       .cost = cost,
                       .peak_bytes_per_element = {81, 93}},
                      device);
}

}  // namespace ssim::baselines
