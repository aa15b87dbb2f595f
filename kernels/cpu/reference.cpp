// SPDX-License-Identifier: MIT
// reference (CPU): the formulas as one would write them down, plain and separable, one thread, to be read first.
//
// Idea: per plane, convolve the four statistics of the sum/difference basis along rows, then along columns, turn them
// into 1 - SSIM and three fields position by position, and convolve the fields in the same two steps.
// Cost: 11 FMA a tap pass, 2 passes, 4 statistics (+ 3 fields): 88 (154) FMA an element, all intermediates in memory.
// Run: ./suite test --filter 'cpu:reference'

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
  for (std::int64_t row = 0; row < in.height; ++row) {
    for (std::int64_t column = 0; column < in.width; ++column) {
      float sum = 0;
      for (int k = 0; k < kWindow; ++k) {
        const std::int64_t r = along_rows ? row : row + k - kHalo;
        const std::int64_t c = along_rows ? column + k - kHalo : column;
        if (r >= 0 && r < in.height && c >= 0 && c < in.width) sum += tap(k) * in.at(r, c);
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
  const std::int64_t margin = p.padding == Padding::valid ? kHalo : 0;
  const float scale = (a.weight ? *a.weight : 1.0f) / static_cast<float>(p.counted());
  double loss = 0;
  for (std::int64_t plane = 0; plane < p.planes(); ++plane) {
    const float* x = a.x + plane * size;
    const float* y = a.y + plane * size;
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
        const bool counts = row >= margin && row < p.height - margin && column >= margin && column < p.width - margin;
        const auto at = sum_difference(field[0].at(row, column), field[1].at(row, column), field[2].at(row, column),
                                       field[3].at(row, column), p.c1, p.c2);
        if (counts) loss += static_cast<double>(at.loss);
        field[0].at(row, column) = counts ? at.p : 0.0f;
        field[1].at(row, column) = counts ? at.q : 0.0f;
        field[2].at(row, column) = counts ? at.r : 0.0f;
      }
    }
    if (!train) continue;
    for (int i = 0; i < 3; ++i) convolve_2d(field[i]);
    float* grad = a.grad_x + plane * size;
    for (std::int64_t i = 0; i < size; ++i) {
      const float s = x[i] + y[i], d = x[i] - y[i];
      grad[i] = scale * (field[0].data[i] + 2 * (d * field[1].data[i] + s * field[2].data[i]));
    }
  }
  *a.mean = 1.0 - loss / static_cast<double>(p.counted());
  return {};
}

}  // namespace

Implementation reference() {
  return {
      .name = "reference",
      .idea = "plain separable convolutions in the sum/difference basis, one thread",
      .device = Device::cpu,
      .tile = {},
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
