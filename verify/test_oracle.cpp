// SPDX-License-Identifier: MIT
// The oracle itself: hand-computed cases, central differences in fp64, stored values of scikit-image, and the oracle of
// the card against that of the host.
#include <gtest/gtest.h>

#include <cmath>

#include "compare.hpp"
#include "golden.hpp"
#include "inputs.hpp"
#include "kernels/window.hpp"
#include "memory.hpp"
#include "oracle.hpp"
#include "row_tests.hpp"
#if SSIM_WITH_CUDA
#include "oracle_cuda.hpp"
#endif

namespace ssim::verify {
namespace {

std::vector<double> doubles(const std::vector<float>& v) { return {v.begin(), v.end()}; }

TEST(Oracle, WindowIsTheGaussianAndSumsToOne) {
  double sum = 0;
  for (int r = 0; r < 11; ++r) {
    for (int c = 0; c < 11; ++c) {
      sum += oracle_weight(r, c);
      EXPECT_NEAR(oracle_weight(r, c) / oracle_weight(5, 5), std::exp(-((r - 5.) * (r - 5) + (c - 5.) * (c - 5)) / 4.5),
                  1e-15);
    }
  }
  EXPECT_NEAR(sum, 1, 1e-15);
}

TEST(Oracle, WindowOfTheKernelsIsTheSame) {
  for (int r = 0; r < 11; ++r) {
    for (int c = 0; c < 11; ++c)
      EXPECT_NEAR(kTaps[r] * kTaps[c], oracle_weight(r, c), 2e-17);  // one ulp of the largest
    EXPECT_EQ(tap(r), static_cast<float>(kTaps[r]));
  }
}

// One pixel: the window's centre weight w is all there is. mx = w x, E[x^2] = w x^2, and so on.
TEST(Oracle, OnePixelByHand) {
  const float x = 0.75f, y = 0.25f;
  const double w = 0.2660117248617943 * 0.2660117248617943;
  const double c1 = static_cast<double>(1e-4f), c2 = static_cast<double>(9e-4f);
  const double a1 = 2 * w * w * 0.1875 + c1, b1 = w * w * 0.625 + c1;
  const double a2 = 2 * (w - w * w) * 0.1875 + c2, b2 = (w - w * w) * 0.625 + c2;
  const OracleAnswer answer = oracle(Problem{}, &x, &y, {.grad_x = true, .grad_y = true, .map = true});
  EXPECT_NEAR(answer.mean, a1 * a2 / (b1 * b2), 1e-14);
  EXPECT_NEAR(answer.loss, 1 - a1 * a2 / (b1 * b2), 1e-14);
  EXPECT_NEAR(answer.map[0], answer.mean, 1e-15);
  // d/dx of the above, by the quotient rule.
  const double da1 = 2 * w * w * 0.25, db1 = 2 * w * w * 0.75, da2 = 2 * (w - w * w) * 0.25,
               db2 = 2 * (w - w * w) * 0.75;
  EXPECT_NEAR(answer.grad_x[0], answer.mean * (da1 / a1 + da2 / a2 - db1 / b1 - db2 / b2), 1e-12);
}

// Constant images, `valid`: no variance, so SSIM = (2ab + C1) / (a^2 + b^2 + C1).
TEST(Oracle, ConstantImagesByHand) {
  const std::vector<double> x(11 * 13, 0.5), y(11 * 13, 0.25);
  const Problem p{.height = 11, .width = 13, .padding = Padding::valid};
  const double c1 = static_cast<double>(p.c1);
  EXPECT_NEAR(oracle(p, x.data(), y.data()).mean, (0.25 + c1) / (0.3125 + c1), 1e-12);
}

TEST(Oracle, EqualImagesHaveOneAndNoGradient) {
  const Problem p{.batch = 2, .channels = 2, .height = 14, .width = 19};
  const ImagePair im = make_images(p, "identical", seed());
  const OracleAnswer answer = oracle(p, im.x.data(), im.y.data(), {.grad_x = true, .grad_y = true, .map = false});
  EXPECT_NEAR(answer.mean, 1, 1e-14);
  EXPECT_NEAR(answer.loss, 0, 1e-14);
  for (const double g : answer.grad_x) EXPECT_NEAR(g, 0, 1e-14);
}

// Central differences of the oracle's own mean, for every pixel of both images of small problems.
class Differences : public testing::TestWithParam<std::tuple<const char*, Padding>> {};

TEST_P(Differences, MatchTheAnalyticGradient) {
  const auto& [input_class, padding] = GetParam();
  const Problem p{.batch = 1, .channels = 2, .height = 13, .width = 15, .padding = padding};
  const ImagePair im = make_images(p, input_class, seed());
  std::vector<double> x = doubles(im.x), y = doubles(im.y);
  const OracleAnswer answer = oracle(p, x.data(), y.data(), {.grad_x = true, .grad_y = true, .map = false});
  double rms = 0;
  for (const double g : answer.grad_x) rms += g * g;
  rms = std::sqrt(rms / static_cast<double>(p.elements()));
  const double step = 1e-4;
  const OracleWants mean_alone{.grad_x = false, .grad_y = false, .map = false};
  for (auto* image : {&x, &y}) {
    const std::vector<double>& gradient = image == &x ? answer.grad_x : answer.grad_y;
    for (std::size_t i = 0; i < image->size(); i += 7) {
      const double before = (*image)[i];
      // Fourth order: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h.
      const auto at = [&](double d) {
        (*image)[i] = before + d;
        return oracle(p, x.data(), y.data(), mean_alone).mean;
      };
      const double difference = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
      (*image)[i] = before;
      // Rounding of a variance, 1e-16 of 1 against C2, is 1e-13 of a position, and that over the step 1e-9.
      EXPECT_NEAR(difference, gradient[i], 1e-6 * rms + 2e-10) << input_class << ", element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Oracle, Differences,
                         testing::Combine(testing::Values("uniform", "textured", "smooth", "edges", "impulse",
                                                          "near_1e-2"),
                                          testing::Values(Padding::same, Padding::valid)));

TEST(Oracle, MapAveragesToTheMeanAndValidIsTheInteriorOfSame) {
  Problem p{.batch = 1, .channels = 2, .height = 24, .width = 31};
  const ImagePair im = make_images(p, "textured", seed());
  const OracleWants wants{.grad_x = false, .grad_y = false, .map = true};
  const OracleAnswer same = oracle(p, im.x.data(), im.y.data(), wants);
  p.padding = Padding::valid;
  const OracleAnswer valid = oracle(p, im.x.data(), im.y.data(), wants);
  double all = 0, inside = 0;
  for (std::int64_t i = 0; i < p.elements(); ++i) {
    const std::int64_t r = i / p.width % p.height, c = i % p.width;
    all += same.map[i];
    if (r >= 5 && r < p.height - 5 && c >= 5 && c < p.width - 5) {
      inside += same.map[i];
      EXPECT_EQ(same.map[i], valid.map[i]);
    } else {
      EXPECT_EQ(valid.map[i], 0);
    }
  }
  EXPECT_NEAR(all / static_cast<double>(p.elements()), same.mean, 1e-13);
  EXPECT_NEAR(inside / static_cast<double>(p.counted()), valid.mean, 1e-13);
}

// Threads share planes or rows, as the shape has it: both ways give the same.
TEST(Oracle, ManyPlanesAndOneAtATimeAgree) {
  const Problem many{.batch = 9, .channels = 7, .height = 40, .width = 50}, one{.height = 40, .width = 50};
  const ImagePair im = make_images(many, "uniform", seed());
  const OracleAnswer all = oracle(many, im.x.data(), im.y.data());
  for (std::int64_t i = 0; i < many.planes(); i += 11) {
    const OracleAnswer single = oracle(one, im.x.data() + i * 2000, im.y.data() + i * 2000);
    for (int j = 0; j < 2000; ++j) EXPECT_NEAR(all.grad_x[i * 2000 + j] * 63, single.grad_x[j], 1e-15);
  }
}

// verify/golden/skimage.json: SSIM of the photographs, degraded, by scikit-image; golden/make_skimage.py made it.
TEST(Oracle, MatchesScikitImage) {
  int compared = 0;
  for (const Padding padding : kPaddings) {
    for (const GoldenPair& pair : golden_pairs(padding)) {
      const OracleAnswer answer =
          oracle(pair.problem, pair.x.data(), pair.y.data(), {.grad_x = false, .grad_y = false, .map = false});
      // C1 and C2 are fp32 here and fp64 there: 1e-8 of them.
      EXPECT_NEAR(answer.mean, pair.ssim, 2e-8) << pair.name;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 24);
}

// verify/golden/pytorch_msssim.json: value and gradient by the package in fp64, but with a window of fp32. Its taps sum
// to 1 within 6e-8, which moves the variance of a flat bright window by 1e-7 / C2 = 1e-4 of the terms that it is in.
TEST(Oracle, MatchesPytorchMsssim) {
  const std::vector<PackageCase> cases = package_cases();
  EXPECT_GE(cases.size(), 9u);
  for (const PackageCase& stored : cases) {
    const OracleAnswer answer = oracle(stored.problem, stored.x.data(), stored.y.data());
    EXPECT_NEAR(answer.mean, stored.value_fp64, 1e-6) << stored.name;
    const double peak = size_of(stored.gradient_fp64.data(), stored.problem.elements()).peak;
    ASSERT_EQ(answer.grad_x.size(), stored.gradient_fp64.size());
    for (std::size_t i = 0; i < answer.grad_x.size(); ++i) {
      ASSERT_NEAR(answer.grad_x[i], stored.gradient_fp64[i], 2e-5 * peak) << stored.name << ", element " << i;
    }
  }
}

TEST(Oracle, OfTheCardIsThatOfTheHost) {
  if (const std::string reason = cannot_run(Device::cuda); !reason.empty()) return skip(reason, true);
#if SSIM_WITH_CUDA
  for (const InputClass& c : input_classes()) {
    for (const Padding padding : kPaddings) {
      const Problem p{.batch = 2, .channels = 3, .height = 37, .width = 53, .padding = padding};
      const ImagePair im = make_images(p, c.name, seed());
      const OracleAnswer host = oracle(p, im.x.data(), im.y.data());
      const std::int64_t n = p.elements();
      Memory x(Device::cuda, 4 * n), y(Device::cuda, 4 * n), gradient(Device::cuda, 8 * n);
      Memory scratch(Device::cuda, cuda::oracle_scratch_bytes(p));
      x.upload(im.x.data());
      y.upload(im.y.data());
      const cuda::Answer card = cuda::oracle(p, x.as<float>(), y.as<float>(), gradient.as<double>(), scratch.data());
      EXPECT_NEAR(card.mean, host.mean, 1e-11) << c.name;
      EXPECT_NEAR(card.loss, host.loss, 1e-11) << c.name;
      const std::vector<double> g = gradient.download<double>();
      const Size size = size_of(host.grad_x.data(), n), on_card = cuda::size_of(gradient.as<double>(), n);
      EXPECT_NEAR(on_card.squares, size.squares, 1e-9 * size.squares + 1e-20);
      EXPECT_NEAR(on_card.peak, size.peak, 1e-9 * size.peak + 1e-12);
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(g[i], host.grad_x[i], 1e-8 * size.peak + 1e-12) << c.name << ", element " << i;
      }
      EXPECT_EQ(cuda::fingerprint(x.as<float>(), n), fingerprint(im.x.data(), n));
      if (std::string(c.name) == "uniform") {
        cuda::uniform_images(seed(), n, x.as<float>(), y.as<float>());
        EXPECT_EQ(x.download<float>(), im.x);
        EXPECT_EQ(y.download<float>(), im.y);
      }
      std::vector<float> rounded(g.begin(), g.end());
      rounded[static_cast<std::size_t>(n / 2)] = std::nanf("");
      x.upload(rounded.data());
      const Comparison a = compare(p, rounded.data(), g.data(), 1, 0);
      const Comparison b = cuda::compare(p, x.as<float>(), gradient.as<double>(), 1, 0);
      EXPECT_EQ(a.worst, b.worst);
      EXPECT_EQ(a.index, b.index);
      EXPECT_EQ(a.corner, b.corner);
      EXPECT_EQ(a.edge, b.edge);
      EXPECT_EQ(a.interior, b.interior);
      EXPECT_EQ(a.exceeding, b.exceeding);
    }
  }
#endif
}

}  // namespace
}  // namespace ssim::verify
