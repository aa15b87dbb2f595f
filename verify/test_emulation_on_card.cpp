// SPDX-License-Identifier: MIT
// The emulation against a card: every CUDA row compiled once more by nvcc without contraction (SSIM_LIKE_EMULATION in
// primitives_device.cuh) gives the emulation's result, bit for bit; rows on tensor cores, whose accumulation the
// emulation only models, to half of what they are allowed against the oracle.
//
// Run: SUITE_REQUIRE_GPU=1 ./suite test --filter emulation_on_card
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "oracle.hpp"
#include "row_tests.hpp"
#include "strict_rows.hpp"
#include "tolerance.hpp"

namespace ssim::cuda_strict {
#define SSIM_DECLARE(name) Implementation name();
SSIM_STRICT_ROWS(SSIM_DECLARE)
#undef SSIM_DECLARE
}  // namespace ssim::cuda_strict

namespace ssim::verify {
namespace {

// One tile and several, tails, widths for vectors and odd ones, several planes, a tensor core's smallest.
const Problem kProblems[] = {
    {.batch = 1, .channels = 1, .height = 19, .width = 37},  {.batch = 2, .channels = 3, .height = 40, .width = 70},
    {.batch = 1, .channels = 1, .height = 33, .width = 300}, {.batch = 1, .channels = 2, .height = 48, .width = 256},
    {.batch = 1, .channels = 1, .height = 130, .width = 64},
};

double rms_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

void compare_on(const Implementation& emulated, const Implementation& card, const Problem& p, Mode mode,
                const std::string& input_class) {
  const ImagePair im = make_images(p, input_class, seed());
  const std::string name = key(emulated, p, mode) + "/" + input_class;
  const Result host = run_row(emulated, p, mode, im.x, im.y, -1.5f), device = run_row(card, p, mode, im.x, im.y, -1.5f);
  if (emulated.exact_in_emulation) {
    EXPECT_EQ(host.mean, device.mean) << name;
    for (std::size_t i = 0; i < host.gradient.size(); ++i) {
      ASSERT_EQ(std::memcmp(&host.gradient[i], &device.gradient[i], sizeof(float)), 0)
          << name << ": gradient of " << i << ": emulation " << host.gradient[i] << ", card " << device.gradient[i];
    }
    return;
  }
  const Tolerance allowed = tolerance(emulated, input_class);
  const double positions = static_cast<double>(p.counted()), apart = std::abs(host.mean - device.mean);
  EXPECT_LE(apart, (allowed.mean + allowed.position / std::sqrt(positions)) / 2) << name;
  double worst = 0;
  if (mode == Mode::train) {
    const double rms = rms_of(oracle(p, im.x.data(), im.y.data()).grad_x);
    for (std::size_t i = 0; i < host.gradient.size(); ++i) {
      worst =
          std::max(worst, std::abs(static_cast<double>(host.gradient[i]) - static_cast<double>(device.gradient[i])));
    }
    EXPECT_LE(worst, 1.5 * (allowed.gradient * rms + allowed.gradient_unit / positions) / 2) << name;
  }
  std::printf("%s: mean %.2g apart, gradient %.2g\n", name.c_str(), apart, worst);
}

void compare_row(const Implementation& emulated, const Implementation& card) {
  if (const std::string reason = cannot_run(Device::cuda); !reason.empty()) return skip(reason, true);
  int compared = 0;
  for (Problem p : kProblems) {
    for (const Padding padding : kPaddings) {
      p.padding = padding;
      for (const Mode mode : kModes) {
        if (!emulated.supports(p, mode).empty() || !card.supports(p, mode).empty()) continue;
        for (const char* input_class : {"uniform", "textured", "edges", "near_5e-4"}) {
          compare_on(emulated, card, p, mode, input_class);
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 0);
}

void register_all(Registrar& registrar) {
  const auto add = [&](const Implementation& card) {
    const Implementation* emulated = find_row(Device::cuda_emulated, card.name);
    registrar.add("emulation_on_card", card.name, [card, emulated] {
      ASSERT_TRUE(emulated);
      compare_row(*emulated, card);
    });
  };
#define SSIM_ADD(name) add(cuda_strict::name());
  SSIM_STRICT_ROWS(SSIM_ADD)
#undef SSIM_ADD
}

const RegisterTests registration(register_all);

}  // namespace
}  // namespace ssim::verify
