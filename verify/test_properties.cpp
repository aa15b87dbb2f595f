// SPDX-License-Identifier: MIT
// What holds for every row without an oracle: equal images, symmetry, range, independence of images and channels,
// flips and transposition, scaling by powers of two, threads, and where NaN and infinity may go. Bitwise where it says
// so; otherwise to the tolerance of the input class, in units of the gradient's largest value.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "compare.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

using Image = std::vector<float>;

// Bitwise, or to rounding where the row does not promise that.
bool same(const Implementation& row, const Image& a, const Image& b) {
  if (row.repeatable) return same_bits(a, b);
  float largest = 0, apart = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(b[i]));
    apart = std::max(apart, std::abs(a[i] - b[i]));
  }
  return apart <= 1e-5f * largest;
}

double peak(const Image& g) {
  double most = 0;
  for (const float v : g) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}

double worst_difference(const Image& a, const Image& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = d <= worst ? worst : d;
  }
  return worst;
}

// A body for a row in one mode and padding; on sides that are multiples of eight where the row refuses others. Skipped
// in words where it refuses both.
void property(Registrar& registrar, const char* name, const Problem& shape,
              void (*body)(const Implementation&, const Problem&, Mode)) {
  each_row_mode_padding(registrar, name, [shape, body](const Implementation& row, Mode mode, Padding padding) {
    Problem p = shape;
    p.padding = padding;
    if (!row.supports(p, mode).empty()) {
      p.height = (p.height + 7) / 8 * 8;
      p.width = (p.width + 7) / 8 * 8;
    }
    if (const std::string reason = row.supports(p, mode); !reason.empty()) {
      return skip(key(row) + " does not support it: " + reason);
    }
    body(row, p, mode);
  });
}

const Problem kSmall{.batch = 2, .channels = 2, .height = 21, .width = 35};

void equal_images(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = make_images(p, "identical", seed());
  const Result r = run_row(row, p, mode, im.x, im.y);
  const bool exact = row.basis == Basis::sum_difference;
  EXPECT_NEAR(r.mean, 1, exact ? 0 : 3e-6);
  const double unit = 1 / static_cast<double>(p.counted());
  for (const float g : r.gradient) ASSERT_LE(std::abs(static_cast<double>(g)), exact ? 0 : 1e-4 * unit);
}

void symmetry_and_range(const Implementation& row, const Problem& p, Mode mode) {
  for (const char* input_class : {"uniform", "anticorrelated", "textured", "edges"}) {
    const ImagePair im = make_images(p, input_class, seed());
    const Result forth = run_row(row, p, mode, im.x, im.y), back = run_row(row, p, mode, im.y, im.x);
    EXPECT_NEAR(forth.mean, back.mean, 1e-6) << input_class;
    EXPECT_LE(std::abs(forth.mean), 1 + 1e-9) << input_class;
  }
}

// Each image alone, with N counted positions instead of batch * N, gives the same values: the mean of the means, and
// gradients that a batch of a power of two scales exactly.
void images_are_independent(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = make_images(p, "textured", seed());
  Image x = im.x, y = im.y;
  const Result before = run_row(row, p, mode, x, y);
  // Other content in the last plane changes no other plane's gradient.
  const auto last = x.end() - p.plane_size();
  std::reverse(last, x.end());
  const Result after = run_row(row, p, mode, x, y);
  EXPECT_NE(before.mean, after.mean);
  if (mode == Mode::infer) return;
  const auto end = static_cast<std::ptrdiff_t>(p.elements() - p.plane_size());
  EXPECT_TRUE(same(row, {before.gradient.begin(), before.gradient.begin() + end},
                   {after.gradient.begin(), after.gradient.begin() + end}));
  EXPECT_FALSE(same_bits(before.gradient, after.gradient));
}

void planes_may_be_permuted(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = make_images(p, "textured", seed());
  const Result straight = run_row(row, p, mode, im.x, im.y);
  const auto permute = [&](const Image& v) {
    Image out(v.size());
    for (std::int64_t i = 0; i < p.planes(); ++i) {
      const std::int64_t from = (i * 3 + 1) % p.planes();
      std::copy_n(v.begin() + from * p.plane_size(), p.plane_size(), out.begin() + i * p.plane_size());
    }
    return out;
  };
  const Result permuted = run_row(row, p, mode, permute(im.x), permute(im.y));
  EXPECT_NEAR(permuted.mean, straight.mean,
              row.mean_is_fp32 ? 1.2e-7 : 1e-8);  // a thread may add up several planes in fp32
  if (mode == Mode::train) {
    EXPECT_TRUE(same(row, permuted.gradient, permute(straight.gradient)));
  }
}

void powers_of_two_scale_exactly(const Implementation& row, const Problem& p, Mode mode) {
  if (mode == Mode::infer) return skip("there is no weight in infer");
  const ImagePair im = make_images(p, "uniform", seed());
  const Result one = run_row(row, p, mode, im.x, im.y, 1.0f);
  for (const float weight : {4.0f, 0.125f, -2.0f}) {
    const Result other = run_row(row, p, mode, im.x, im.y, weight);
    EXPECT_EQ(other.mean, one.mean);
    Image scaled = one.gradient;
    for (float& g : scaled) g *= weight;
    EXPECT_TRUE(same(row, other.gradient, scaled)) << weight;
  }
  for (const float g : run_row(row, p, mode, im.x, im.y, 0.0f).gradient) ASSERT_EQ(g, 0);
}

void flips_and_transposition(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = make_images(p, "textured", seed());
  const Result straight = run_row(row, p, mode, im.x, im.y);
  const auto turned = [&](const Image& v, auto to, std::int64_t new_width) {
    Image out(v.size());
    for (std::int64_t i = 0; i < p.elements(); ++i) {
      const std::int64_t plane = i / p.plane_size(), r = i % p.plane_size() / p.width, c = i % p.width;
      const auto [tr, tc] = to(r, c);
      out[static_cast<std::size_t>(plane * p.plane_size() + tr * new_width + tc)] = v[static_cast<std::size_t>(i)];
    }
    return out;
  };
  using Pair = std::pair<std::int64_t, std::int64_t>;
  const auto check = [&](const char* name, auto to, bool swap) {
    Problem q = p;
    if (swap) std::swap(q.height, q.width);
    const Result r = run_row(row, q, mode, turned(im.x, to, q.width), turned(im.y, to, q.width));
    EXPECT_NEAR(r.mean, straight.mean, 1e-6) << name;
    if (mode == Mode::train) {
      EXPECT_LE(worst_difference(r.gradient, turned(straight.gradient, to, q.width)), 1e-4 * peak(straight.gradient))
          << name;
    }
  };
  check(
      "left-right",
      [&](std::int64_t r, std::int64_t c) {
        return Pair{r, p.width - 1 - c};
      },
      false);
  check(
      "up-down",
      [&](std::int64_t r, std::int64_t c) {
        return Pair{p.height - 1 - r, c};
      },
      false);
  check(
      "transposed",
      [&](std::int64_t r, std::int64_t c) {
        return Pair{c, r};
      },
      true);
}

// The mean is NaN, other planes are bitwise as they were, and every pixel whose window sees the bad one is NaN. How far
// NaN goes beyond that within the plane is the row's tile's business.
void bad_pixels_stay_in_their_plane(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = make_images(p, "uniform", seed());
  const Result good = run_row(row, p, mode, im.x, im.y);
  const std::int64_t bad_row = 11, bad_column = 17, plane = 1;
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool in_x : {true, false}) {
      ImagePair spoilt = im;
      const std::int64_t at = plane * p.plane_size() + bad_row * p.width + bad_column;
      (in_x ? spoilt.x : spoilt.y)[static_cast<std::size_t>(at)] = bad;
      const Result r = run_row(row, p, mode, spoilt.x, spoilt.y);
      EXPECT_TRUE(std::isnan(r.mean)) << "the mean is " << r.mean;
      if (mode == Mode::infer) continue;
      const auto first = plane * p.plane_size(), last = first + p.plane_size();
      for (const auto& [from, to] : {std::pair{std::int64_t{0}, first}, std::pair{last, p.elements()}}) {
        EXPECT_TRUE(same(row, {r.gradient.begin() + from, r.gradient.begin() + to},
                         {good.gradient.begin() + from, good.gradient.begin() + to}))
            << "another plane changed";
      }
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t r_ = i % p.plane_size() / p.width, c = i % p.width;
        const float got = r.gradient[static_cast<std::size_t>(i)];
        if (std::abs(r_ - bad_row) <= 5 && std::abs(c - bad_column) <= 5) {
          ASSERT_TRUE(std::isnan(got)) << "row " << r_ << ", column " << c << " is " << got;
        }
      }
    }
  }
}

void threads_do_not_matter(const Implementation& row, const Problem& p, Mode mode) {
  if (row.device != Device::cpu) return skip("threads are the CPU's");
  const ImagePair im = make_images(p, "textured", seed());
  const Result one = run_row(row, p, mode, im.x, im.y, 1.0f, 1);
  for (const int threads : {0, 2, 3, 7}) {
    const Result other = run_row(row, p, mode, im.x, im.y, 1.0f, threads);
    EXPECT_EQ(one.mean, other.mean) << threads << " threads";
    EXPECT_TRUE(same_bits(one.gradient, other.gradient)) << threads << " threads";
  }
}

// Directional differences of the row's own mean against its gradient, at float precision.
void gradient_is_that_of_the_value(const Implementation& row, const Problem& p, Mode mode) {
  if (mode == Mode::infer) return skip("there is no gradient in infer");
  const ImagePair im = make_images(p, "uniform", seed());
  const Result r = run_row(row, p, mode, im.x, im.y);
  const float step = 0.01f;
  Image ahead = im.x, behind = im.x;
  double slope = 0;
  for (std::size_t i = 0; i < ahead.size(); ++i) {
    // Along the sign of the gradient, so that the slope is as large as it can be.
    const float d = r.gradient[i] > 0 ? step : -step;
    ahead[i] += d;
    behind[i] -= d;
    slope += static_cast<double>(r.gradient[i]) * (static_cast<double>(ahead[i]) - static_cast<double>(behind[i]));
  }
  const double difference = run_row(row, p, mode, ahead, im.y).mean - run_row(row, p, mode, behind, im.y).mean;
  EXPECT_NEAR(difference, slope, 0.02 * slope);
  EXPECT_GT(slope, 0.01);
}

const RegisterTests registration([](Registrar& r) {
  property(r, "equal_images", kSmall, equal_images);
  property(r, "symmetry_and_range", kSmall, symmetry_and_range);
  property(r, "images_are_independent", kSmall, images_are_independent);
  property(r, "planes_may_be_permuted", kSmall, planes_may_be_permuted);
  property(r, "powers_of_two_scale_exactly", kSmall, powers_of_two_scale_exactly);
  property(r, "flips_and_transposition", kSmall, flips_and_transposition);
  property(r, "bad_pixels_stay_in_their_plane", {.batch = 3, .height = 23, .width = 37},
           bad_pixels_stay_in_their_plane);
  property(r, "threads_do_not_matter", {.batch = 1, .channels = 2, .height = 70, .width = 90}, threads_do_not_matter);
  property(r, "gradient_is_that_of_the_value", kSmall, gradient_is_that_of_the_value);
});

}  // namespace
}  // namespace ssim::verify
