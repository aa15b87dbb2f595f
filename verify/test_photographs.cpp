// SPDX-License-Identifier: MIT
// Values of others: every row gives scikit-image's SSIM of the photographs and their degradations
// (golden/skimage.json), and the value and the gradient that pytorch-msssim 1.0.0 has in fp64 of crops and of synthetic
// images (golden/pytorch_msssim.json).
#include <gtest/gtest.h>

#include "compare.hpp"
#include "golden.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

void photographs_match(const Implementation& row, Mode mode, Padding padding) {
  if (row.device == Device::cuda_emulated && mode == Mode::train) return skip("infer stands for train in emulation");
  int compared = 0;
  for (const GoldenPair& pair : golden_pairs(padding)) {
    if (const std::string reason = row.supports(pair.problem, mode); !reason.empty()) {
      return skip(key(row) + " does not support it: " + reason);
    }
    if (row.device == Device::cuda_emulated && compared == 2) break;
    const Result result = run_row(row, pair.problem, mode, pair.x, pair.y);
    // Classic rows lose digits in flat regions: naive_conv is off by 3.2e-5 on an inverted photograph, stream_unpivoted
    // by 6.4e-6 (H200).
    EXPECT_NEAR(result.mean, pair.ssim, row.basis == Basis::classic ? 1e-4 : row.centred ? 5e-7 : 8e-6) << pair.name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

void package_matches(const Implementation& row, Mode mode, Padding padding) {
  if (padding == Padding::same) return skip("pytorch-msssim has no padding `same`");
  int compared = 0;
  std::string reason;
  for (const PackageCase& stored : package_cases()) {
    if (const std::string no = row.supports(stored.problem, mode); !no.empty()) {
      reason = no;
      continue;
    }
    ++compared;
    const Result result = run_row(row, stored.problem, mode, stored.x, stored.y);
    // The package's window is rounded to fp32; classic rows lose digits where a photograph is flat.
    const bool classic = row.basis == Basis::classic;
    EXPECT_NEAR(result.mean, stored.value_fp64, classic ? 1e-5 : 2e-6) << stored.name;
    if (mode == Mode::infer) continue;
    const double peak = size_of(stored.gradient_fp64.data(), stored.problem.elements()).peak;
    ASSERT_EQ(result.gradient.size(), stored.gradient_fp64.size());
    for (std::size_t i = 0; i < result.gradient.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(result.gradient[i]), stored.gradient_fp64[i], (classic ? 1e-3 : 1e-4) * peak)
          << stored.name << ", element " << i;
    }
  }
  if (compared == 0) skip(key(row) + " does not support it: " + reason);
}

const RegisterTests registration([](Registrar& registrar) {
  each_row_mode_padding(registrar, "package", package_matches);
  each_row_mode_padding(registrar, "photographs", photographs_match);
});

}  // namespace
}  // namespace ssim::verify
