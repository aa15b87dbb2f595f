// SPDX-License-Identifier: MIT
// Random shapes and contents: a few cases a row, drawn from SUITE_SEED; a failure is minimised and names the command
// that repeats it. `./suite test --fuzz MINUTES` goes on from here with fresh seeds.
#include <gtest/gtest.h>

#include <algorithm>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "random_case.hpp"

namespace ssim::verify {
namespace {

// What fuzzing found some row or its tolerance wrong on: two windows alone; a photograph of 256 rows five times over,
// the pixels of the pivot all in its darkest rows.
const RandomCase kFound[] = {
    {{{.batch = 1, .channels = 2, .height = 11, .width = 11, .padding = Padding::valid}, "near_5e-4"},
     Mode::train,
     268377303},
    {{{.height = 1280, .width = 11, .padding = Padding::valid}, "photo_quantise"}, Mode::train, 997052846},
};

void found_cases(const Implementation& row) {
  if (const std::string reason = cannot_run(row.device); !reason.empty()) {
    return skip(reason, row.device == Device::cuda);
  }
  for (RandomCase one : kFound) {
    for (const Mode mode : {Mode::infer, Mode::train}) {
      one.mode = mode;
      std::string message;
      EXPECT_EQ(failure(row, one, &message), "") << message;
    }
  }
}

void some_cases(const Implementation& row) {
  if (const std::string reason = cannot_run(row.device); !reason.empty()) {
    return skip(reason, row.device == Device::cuda);
  }
  const int count = row.device == Device::cuda_emulated ? 12 : row.baseline ? 20 : 60;
  int ran = 0;
  for (int i = 0; i < 10 * count && ran < count; ++i) {
    const RandomCase one = draw_case(seed() * 1000003 + static_cast<std::uint64_t>(i), most_elements(row));
    if (!row.supports(one.spec.problem, one.mode).empty()) continue;
    ++ran;
    std::string message;
    const std::string failed = failure(row, one, &message);
    if (failed.empty()) continue;
    std::string smallest;
    const auto fails = [&](const RandomCase& c) { return failure(row, c, &message) == failed; };
    failure(row, minimise(one, fails), &smallest);
    ADD_FAILURE() << smallest;
  }
  EXPECT_GT(ran, 0) << "the row refuses all problems";
}

void register_all(Registrar& registrar) {
  for (const Implementation& row : all_rows()) {
    registrar.add("found", key(row), [&row] { found_cases(row); });
    registrar.add("random", key(row), [&row] { some_cases(row); });
  }
}

const RegisterTests registration(register_all);

TEST(RandomCase, IsAFunctionOfItsSeed) {
  const RandomCase a = draw_case(7, 10000), b = draw_case(7, 10000), c = draw_case(8, 10000);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.spec.problem.elements(), b.spec.problem.elements());
  EXPECT_NE(a.seed, c.seed);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const RandomCase one = draw_case(i, 5000);
    EXPECT_TRUE(check(one.spec.problem)) << i;
    const Problem& p = one.spec.problem;  // a line of pixels with `valid` is one window high, however long it is
    EXPECT_TRUE(p.elements() <= 12000 || (p.planes() == 1 && std::min(p.height, p.width) == kWindow)) << i;
  }
}

TEST(RandomCase, IsMinimised) {
  const RandomCase large{{{.batch = 5, .channels = 3, .height = 97, .width = 203}, "hdr", 8}, Mode::train, 9};
  const auto fails = [](const RandomCase& c) {
    return c.spec.problem.height >= 20 && c.spec.problem.width > 16 && c.mode == Mode::train;
  };
  const RandomCase small = minimise(large, fails);
  EXPECT_TRUE(fails(small));
  const Problem& p = small.spec.problem;
  EXPECT_EQ(p.batch * p.channels, 1);
  EXPECT_EQ(p.height, 20);
  EXPECT_EQ(p.width, 17);
  EXPECT_EQ(small.spec.offset, 0);
  EXPECT_EQ(small.spec.input_class, "uniform");
  EXPECT_EQ(small.seed, 9u);
}

TEST(RandomCase, FindsARowThatIsWrongAtOneWidth) {
  Implementation row = *find_row(Device::cpu, "reference");
  const auto inner = row.value;
  row.value = [inner](const Problem& p, const Arguments& a) {
    const Status s = inner(p, a);
    if (p.width % 16 == 1 && p.height > 2) *a.mean += 1e-3;
    return s;
  };
  std::string message;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const RandomCase one = draw_case(i, 5000);
    const std::string failed = failure(row, one, &message);
    if (failed.empty()) continue;
    const auto fails = [&](const RandomCase& c) { return failure(row, c, &message) == failed; };
    const Problem& p = minimise(one, fails).spec.problem;
    EXPECT_EQ(failed, "mean");
    EXPECT_EQ(p.width % 16, 1);
    EXPECT_EQ(p.height, p.padding == Padding::valid ? 11 : 3);
    EXPECT_EQ(p.batch * p.channels, 1);
    return;
  }
  FAIL() << "1000 random cases did not find it";
}

}  // namespace
}  // namespace ssim::verify
