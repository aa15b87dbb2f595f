// SPDX-License-Identifier: MIT
// Many calls, hundreds on a card, give the same bits. A race that needs memory to be slow, or warps to drift apart,
// shows in a few launches of a hundred and at some sizes only: `tensor` gave a stage of images back before its values
// had come, which changed 1 mean in 20 where planes were 256 columns wide, and none elsewhere (reports/lab-notes.md).
//
// Cost: a second or two a row. Run: ./suite test --device cuda --filter '^repeat'
#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

#include "baselines/all_rows.hpp"
#include "compare.hpp"
#include "inputs.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

constexpr int kLaunches = 300, kCalls = 40;                    // on a card, on a CPU
constexpr std::int64_t kCacheBytes = std::int64_t{128} << 20;  // more than any card's L2

// On a card: blocks with several short segments of their own, and strips of several planes at once.
const Problem kProblems[] = {
    {.batch = 64, .channels = 3, .height = 256, .width = 256},
    {.batch = 43, .channels = 3, .height = 248, .width = 255},
    {.batch = 12, .channels = 3, .height = 270, .width = 480},
    {.batch = 11, .channels = 3, .height = 120, .width = 500},
};

const Problem kSmall{.batch = 2, .channels = 3, .height = 67, .width = 131};

void same_bits_always(const Implementation& row, const Problem& p, Mode mode) {
  if (const std::string reason = cannot_run(row.device); !reason.empty())
    return skip(reason, row.device == Device::cuda);
  if (!row.repeatable) return skip(key(row) + " does not promise it");
  if (const std::string reason = row.supports(p, mode); !reason.empty()) {
    return skip(key(row) + " does not support it: " + reason);
  }
  const ImagePair images = make_images(p, "uniform", seed());
  PreparedCall one(row, p, mode);
  one.upload(images.x, images.y);
  const int calls = row.device == Device::cuda ? kLaunches : kCalls;
  Memory other(row.device, row.device == Device::cuda ? kCacheBytes : 0);
  double mean = 0;
  std::vector<float> gradient;
  int different = 0;
  for (int i = 0; i < calls; ++i) {
    if (i % 3 == 0) other.fill(static_cast<unsigned char>(i));  // images out of L2
    const Status s = one.start();
    ASSERT_TRUE(s) << s.message;
    synchronize(row.device);
    const double now = one.mean();
    if (i == 0) mean = now;
    different += std::memcmp(&now, &mean, sizeof mean) != 0;
    if (mode == Mode::train && i % (calls / 6) == 0) {
      const std::vector<float> again = one.result().gradient;
      if (i == 0) gradient = again;
      ASSERT_TRUE(same_bits(again, gradient)) << "call " << i;
    }
  }
  EXPECT_EQ(different, 0) << "means of " << calls << " calls";
}

void register_all(Registrar& registrar) {
  for (const Implementation& row : all_rows()) {
    if (row.device == Device::cuda_emulated) continue;  // always takes the same steps
    const std::span<const Problem> problems = row.device == Device::cuda ? kProblems : std::span(&kSmall, 1);
    for (const Mode mode : kModes) {
      for (Problem p : problems) {
        for (const Padding padding : kPaddings) {
          p.padding = padding;
          registrar.add("repeat", key(row, p, mode), [&row, p, mode] { same_bits_always(row, p, mode); });
        }
      }
    }
  }
}

const RegisterTests registration(register_all);

}  // namespace
}  // namespace ssim::verify
