// SPDX-License-Identifier: MIT
// reference (CPU): the formulas as one would write them down, plain and separable, one thread, to be read first.
//
// Idea: per plane, convolve the four statistics of the sum/difference basis along rows, then along columns, turn them
// into 1 - SSIM and three fields position by position, and convolve the fields in the same two steps.
// Cost: 11 FMA a tap pass, 2 passes, 4 statistics (+ 3 fields): 88 (154) FMA an element, all intermediates in memory.
// Run: ./suite test --filter 'cpu:reference'

#include "defect.hpp"
#include "implementation.hpp"
#include "pixel.hpp"
#include "window.hpp"

namespace ssim::cpu {
namespace {

// A plane of floats with `height` rows of `width`.
struct Plane {
  float* data;
  std::int64_t height, width;
  float& at(std::int64_t row, std::int64_t column) const { return data[row * width + column]; }
};

// out[i] = sum_k tap(k) * in[i + k - 5] along rows or columns; zero outside.
void convolve(const Plane& in, const Plane& out, bool along_rows) {
  const std::int64_t halo = kHalo + (SSIM_DEFECT(window_off_by_one) ? 1 : 0);
  const std::int64_t right = in.width - (SSIM_DEFECT(halo_right) ? 1 : 0);
  for (std::int64_t row = 0; row < in.height; ++row) {
    for (std::int64_t column = 0; column < in.width; ++column) {
      float sum = 0;
      for (int k = 0; k < kWindow; ++k) {
        const std::int64_t r = along_rows ? row : row + k - halo;
        const std::int64_t c = along_rows ? column + k - halo : column;
        if (r >= 0 && r < in.height && c >= 0 && c < right) sum += tap(k) * in.at(r, c);
        if (SSIM_DEFECT(tap_wrong) && k == 3 && r >= 0 && r < in.height && c >= 0) sum += 1e-3f * in.at(r, c);
      }
      out.at(row, column) = sum;
    }
  }
}

Status run(const Problem& p, const Arguments& a, bool train) {
  const std::int64_t size = p.plane_size();
  float* scratch = reinterpret_cast<float*>(static_cast<char*>(a.workspace) + kControlBytes);
  Plane field[4], between{scratch + 4 * size, p.height, p.width};
  for (int i = 0; i < 4; ++i) field[i] = {scratch + i * size, p.height, p.width};
  const auto convolve_2d = [&](const Plane& plane) {
    convolve(plane, between, true);
    convolve(between, plane, false);
  };
  const std::int64_t margin = p.padding == Padding::valid && !SSIM_DEFECT(padding_ignored) ? kHalo : 0;
  const float weight = a.weight && !SSIM_DEFECT(weight_ignored) ? *a.weight : 1.0f;
  const float scale = weight / static_cast<float>(p.counted());
  const float c2 = SSIM_DEFECT(wrong_c2) ? 9.1e-4f : SSIM_DEFECT(constants_fixed) ? 9e-4f : p.c2;
  const std::int64_t last_row = p.height - margin - (SSIM_DEFECT(last_row_skipped) ? 1 : 0);
  double loss = 0;
  for (std::int64_t plane = 0; plane < p.planes(); ++plane) {
    const float* x = a.x + plane * size;
    const float* y = a.y + (SSIM_DEFECT(batch_ignored) ? 0 : plane) * size;
    for (std::int64_t i = 0; i < size; ++i) {
      const float s = x[i] + y[i], d = x[i] - y[i];
      field[0].data[i] = s;
      field[1].data[i] = d;
      field[2].data[i] = s * s;
      field[3].data[i] = d * d;
    }
    for (const Plane& f : field) convolve_2d(f);
    for (std::int64_t row = 0; row < p.height; ++row) {
      for (std::int64_t column = 0; column < p.width; ++column) {
        const bool counts = row >= margin && row < last_row && column >= margin && column < p.width - margin;
        const auto at = sum_difference(field[0].at(row, column), field[1].at(row, column), field[2].at(row, column),
                                       field[3].at(row, column), p.c1, c2);
        if (SSIM_DEFECT(nan_swallowed) && !(at.loss <= 2)) continue;
        if (counts) loss += static_cast<double>(at.loss);
        field[0].at(row, column) = counts ? at.p : 0.0f;
        field[1].at(row, column) = counts ? at.q : 0.0f;
        field[2].at(row, column) = counts && !SSIM_DEFECT(term_dropped) ? at.r : 0.0f;
      }
    }
    if (!train) continue;
    for (int i = 0; i < 3; ++i) convolve_2d(field[i]);
    float* grad = a.grad_x + plane * size;
    for (std::int64_t i = 0; i < size; ++i) {
      const float s = x[i] + y[i], d = x[i] - y[i];
      const float before = SSIM_DEFECT(output_accumulated) ? grad[i] : 0.0f;
      grad[i] = scale * (field[0].data[i] + 2 * (d * field[1].data[i] + s * field[2].data[i]));
      if (SSIM_DEFECT(output_accumulated)) grad[i] += before;
      if (SSIM_DEFECT(zero_gradient)) grad[i] = 0;
    }
    if (SSIM_DEFECT(write_past_end)) grad[size] = 0;
  }
  if (SSIM_DEFECT(input_modified)) const_cast<float*>(a.x)[p.elements() / 2] = 0;
  if (SSIM_DEFECT(control_block_dirty)) *static_cast<char*>(a.workspace) = 1;
  *a.mean = 1.0 - SSIM_DRIFT() * loss / static_cast<double>(p.counted());
  if (a.mean_fp32 && !SSIM_DEFECT(rounded_mean_forgotten)) *a.mean_fp32 = static_cast<float>(*a.mean);
  return {};
}

}  // namespace

Implementation reference() {
  return {
      .name = "reference",
      .idea = "plain separable convolutions in the sum/difference basis, one thread",
      .device = Device::cpu,
      .tile = {},
      .centred = false,
      .supports = [](const Problem&, Mode) -> std::string { return ""; },
      .workspace_bytes =
          [](const Problem& p, Mode) {
            return kControlBytes + 5 * p.plane_size() * static_cast<std::int64_t>(sizeof(float));
          },
      .value = [](const Problem& p, const Arguments& a) { return run(p, a, false); },
      .value_and_grad = [](const Problem& p, const Arguments& a) { return run(p, a, true); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const bool train = mode == Mode::train;
            // Images, and each convolution step reads and writes a plane of 4 bytes an element.
            return Cost{n * (8 + 4 * 20.0 + (train ? 12 + 3 * 16.0 : 0)), n * (train ? 154 : 88), 0};
          },
  };
}

}  // namespace ssim::cpu
