// SPDX-License-Identifier: MIT
// Real input: every row gives scikit-image's SSIM of the photographs and their degradations (golden/skimage.json).
#include <gtest/gtest.h>

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
    // Classic rows lose digits in flat regions: naive_conv is off by 3.2e-5 on an inverted photograph.
    EXPECT_NEAR(result.mean, pair.ssim, row.basis == Basis::classic ? 1e-4 : 5e-7) << pair.name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

const RegisterTests registration([](Registrar& registrar) {
  each_row_mode_padding(registrar, "photographs", photographs_match);
});

}  // namespace
}  // namespace ssim::verify
