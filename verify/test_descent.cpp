// SPDX-License-Identifier: MIT
// Descent on 1 - SSIM, the loss that rows are made for: from noise to a photograph. The first twenty steps follow the
// path that the oracle takes; in the end SSIM is above 0.999. Emulated rows and baselines take the twenty steps alone.
//
// Run: ./suite test --filter '^descent'
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "inputs.hpp"
#include "oracle.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

using Image = std::vector<float>;

// The middle of a photograph.
Image target(const Problem& p) {
  const Photograph& photo = photographs().front();
  Image out(static_cast<std::size_t>(p.elements()));
  for (std::int64_t i = 0; i < p.elements(); ++i) {
    const std::int64_t plane = i / p.plane_size(), r = i % p.plane_size() / p.width, c = i % p.width;
    const std::int64_t row = photo.height / 2 + r, column = photo.width / 2 + c;
    out[static_cast<std::size_t>(i)] =
        photo.rgb[static_cast<std::size_t>((plane * photo.height + row) * photo.width + column)];
  }
  return out;
}

Image noise(const Problem& p) { return make_images(p, "uniform", seed()).x; }

template <typename T>
double rms(const std::vector<T>& v) {
  double sum = 0;
  for (const T x : v) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum / static_cast<double>(v.size()));
}

void follows_the_oracle(const Implementation& row, Problem p) {
  const Image y = target(p);
  Image x = noise(p);
  std::vector<double> path(x.begin(), x.end());
  const std::vector<double> fixed(y.begin(), y.end());
  for (int step = 0; step < 20; ++step) {
    const std::vector<double> want = oracle(p, path.data(), fixed.data()).grad_x;
    const double rate = 0.02 / rms(want);  // a step's RMS is 0.02
    const Image got = run_row(row, p, Mode::train, x, y).gradient;
    for (std::size_t i = 0; i < x.size(); ++i) {
      path[i] += rate * want[i];
      x[i] += static_cast<float>(rate * static_cast<double>(got[i]));
    }
  }
  double apart = 0, moved = 0;
  const Image start = noise(p);
  for (std::size_t i = 0; i < x.size(); ++i) {
    apart = std::max(apart, std::abs(static_cast<double>(x[i]) - path[i]));
    moved = std::max(moved, std::abs(path[i] - static_cast<double>(start[i])));
  }
  EXPECT_GT(moved, 0.1);
  EXPECT_LE(apart, 1e-3) << "of a way of " << moved;
}

// Adam (Kingma, Ba 2015), its rate falling to nothing.
void arrives(const Implementation& row, const Problem& p) {
  constexpr int kSteps = 600;
  const Image y = target(p);
  Image x = noise(p);
  std::vector<double> first(x.size()), second(x.size());
  for (int step = 0; step < kSteps; ++step) {
    const Image gradient = run_row(row, p, Mode::train, x, y, -1.0f).gradient;
    const double rate = 0.05 * (1 - static_cast<double>(step) / kSteps);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double g = static_cast<double>(gradient[i]) * static_cast<double>(p.counted());
      first[i] = 0.9 * first[i] + 0.1 * g;
      second[i] = 0.999 * second[i] + 0.001 * g * g;
      const double m = first[i] / (1 - std::pow(0.9, step + 1)), v = second[i] / (1 - std::pow(0.999, step + 1));
      x[i] -= static_cast<float>(rate * m / (std::sqrt(v) + 1e-8));
    }
  }
  EXPECT_GT(oracle(p, x.data(), y.data()).mean, 0.999);
}

const RegisterTests registration([](Registrar& registrar) {
  each_row_mode_padding(registrar, "descent", [](const Implementation& row, Mode mode, Padding padding) {
    if (mode == Mode::infer) return skip("there is no gradient in infer");
    const bool slow = row.device == Device::cuda_emulated || row.baseline;
    const Problem p{.batch = 1, .channels = slow ? 1 : 3, .height = 40, .width = slow ? 37 : 56, .padding = padding};
    if (const std::string reason = row.supports(p, mode); !reason.empty()) {
      return skip(key(row) + " does not support it: " + reason);
    }
    follows_the_oracle(row, p);
    if (!slow) arrives(row, p);
  });
});

}  // namespace
}  // namespace ssim::verify
