// SPDX-License-Identifier: MIT
// The emulation finds what it claims to find: each broken kernel ends with its message, each right one is right.
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

#include "broken_kernels.hpp"

namespace ssim::verify {
namespace {

template <typename Entry>
std::string name_of(const testing::TestParamInfo<Entry>& info) {
  return info.param.name;
}

class Broken : public testing::TestWithParam<BrokenKernel> {};

TEST_P(Broken, IsCaught) {
  const Status status = GetParam().run();
  const std::string message = status.message;
  EXPECT_EQ(status.code, Status::Code::device_error) << GetParam().mistake;
  EXPECT_TRUE(std::regex_search(message, std::regex(GetParam().message)))
      << GetParam().mistake << "\n  message:  " << message << "\n  expected: " << GetParam().message;
  EXPECT_NE(message.find("kernel " + GetParam().name), std::string::npos) << message;
  RecordProperty("message", message);
  if (std::getenv("SSIM_SHOW_MESSAGES")) std::printf("%s\n    %s\n", GetParam().mistake.c_str(), status.message);
}

INSTANTIATE_TEST_SUITE_P(Emulation, Broken, testing::ValuesIn(broken_kernels()), name_of<BrokenKernel>);
INSTANTIATE_TEST_SUITE_P(EmulationTensor, Broken, testing::ValuesIn(broken_tensor_kernels()), name_of<BrokenKernel>);

class Visible : public testing::TestWithParam<VisibleMistake> {};

TEST_P(Visible, ChangesTheResult) { EXPECT_TRUE(GetParam().shows()) << GetParam().mistake; }

INSTANTIATE_TEST_SUITE_P(Emulation, Visible, testing::ValuesIn(visible_mistakes()), name_of<VisibleMistake>);
INSTANTIATE_TEST_SUITE_P(EmulationTensor, Visible, testing::ValuesIn(visible_tensor_mistakes()),
                         name_of<VisibleMistake>);

class Right : public testing::TestWithParam<RightKernel> {};

TEST_P(Right, IsRight) { EXPECT_EQ(GetParam().run(), ""); }

INSTANTIATE_TEST_SUITE_P(Emulation, Right, testing::ValuesIn(right_kernels()), name_of<RightKernel>);
INSTANTIATE_TEST_SUITE_P(EmulationTensor, Right, testing::ValuesIn(right_tensor_kernels()), name_of<RightKernel>);

// After a failure the stacks and the workers are as good as new.
TEST(Emulation, GoesOnAfterFailures) {
  for (int round = 0; round < 3; ++round) {
    for (const auto* kernels : {&broken_kernels(), &broken_tensor_kernels()}) {
      for (const BrokenKernel& kernel : *kernels) EXPECT_FALSE(kernel.run()) << kernel.name;
    }
    for (const auto* kernels : {&right_kernels(), &right_tensor_kernels()}) {
      for (const RightKernel& kernel : *kernels) EXPECT_EQ(kernel.run(), "") << kernel.name;
    }
  }
}

}  // namespace
}  // namespace ssim::verify
