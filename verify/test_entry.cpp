// SPDX-License-Identifier: MIT
// Bad input at the C++ entry: each gives the right code and a message that names the argument, what was given and what
// is allowed, before memory is touched.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/registry.hpp"
#include "memory.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

using Code = Status::Code;

struct Call {
  Problem problem{.batch = 1, .channels = 1, .height = 16, .width = 16};
  Memory x{Device::cpu, 1024}, y{Device::cpu, 1024}, grad{Device::cpu, 1024}, mean{Device::cpu, 8};
  Memory weight{Device::cpu, 8}, workspace{Device::cpu, workspace_bytes(Device::cpu, problem, Mode::train)};
  Arguments arguments;

  Call() {
    x.fill(0);
    y.fill(0);
    const float one = 1;
    weight.fill(0);
    std::copy_n(&one, 1, weight.as<float>());
    init_workspace(Device::cpu, workspace.data(), workspace.bytes());
    arguments = {.x = x.as<float>(),
                 .y = y.as<float>(),
                 .weight = weight.as<float>(),
                 .mean = mean.as<double>(),
                 .grad_x = grad.as<float>(),
                 .workspace = workspace.data(),
                 .workspace_bytes = workspace.bytes()};
  }
};

struct Bad {
  const char* name;
  std::function<void(Call&)> spoil;
  const char* message;  // words that the message must have, in this order, '|' between them
  Code code = Code::invalid_argument;
};

void expect_words(const std::string& message, const std::string& words) {
  std::size_t at = 0, begin = 0;
  while (begin <= words.size()) {
    const std::size_t end = std::min(words.find('|', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    const std::size_t found = message.find(word, at);
    ASSERT_NE(found, std::string::npos) << "\"" << message << "\" lacks \"" << word << "\"";
    at = found + word.size();
    begin = end + 1;
  }
}

template <typename T>
T* shifted(const T* pointer, int bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(pointer) + bytes);
}

const Bad kBad[] = {
    {"x_null", [](Call& c) { c.arguments.x = nullptr; }, "x|null pointer"},
    {"y_null", [](Call& c) { c.arguments.y = nullptr; }, "y|null pointer"},
    {"mean_null", [](Call& c) { c.arguments.mean = nullptr; }, "mean|null pointer"},
    {"grad_x_null", [](Call& c) { c.arguments.grad_x = nullptr; }, "grad_x|null pointer"},
    {"workspace_null", [](Call& c) { c.arguments.workspace = nullptr; }, "workspace|null pointer"},
    {"x_misaligned", [](Call& c) { c.arguments.x = shifted(c.arguments.x, 2); }, "x = |not aligned to 4 bytes"},
    {"y_misaligned", [](Call& c) { c.arguments.y = shifted(c.arguments.y, 1); }, "y = |not aligned to 4 bytes"},
    {"grad_x_misaligned", [](Call& c) { c.arguments.grad_x = shifted(c.arguments.grad_x, 3); }, "grad_x = |4 bytes"},
    {"weight_misaligned", [](Call& c) { c.arguments.weight = shifted(c.arguments.weight, 2); }, "weight = |4 bytes"},
    {"mean_misaligned", [](Call& c) { c.arguments.mean = shifted(c.arguments.mean, 4); }, "mean = |8 bytes"},
    {"mean_fp32_misaligned", [](Call& c) { c.arguments.mean_fp32 = shifted(c.mean.as<float>(), 2); },
     "mean_fp32 = |4 bytes"},
    {"workspace_misaligned", [](Call& c) { c.arguments.workspace = static_cast<char*>(c.arguments.workspace) + 64; },
     "workspace = |256 bytes"},
    {"workspace_too_small", [](Call& c) { --c.arguments.workspace_bytes; }, "workspace_bytes = |too small|needs"},
    {"workspace_negative", [](Call& c) { c.arguments.workspace_bytes = -1; }, "workspace_bytes = -1|too small|needs"},
    {"threads_negative", [](Call& c) { c.arguments.threads = -2; }, "threads = -2|0 (default) or more"},
    {"batch_zero", [](Call& c) { c.problem.batch = 0; }, "batch = 0|at least 1"},
    {"channels_negative", [](Call& c) { c.problem.channels = -3; }, "channels = -3|at least 1"},
    {"height_zero", [](Call& c) { c.problem.height = 0; }, "height = 0|at least 1"},
    {"width_negative", [](Call& c) { c.problem.width = -16; }, "width = -16|at least 1"},
    {"valid_height_10", [](Call& c) { c.problem.height = 10, c.problem.padding = Padding::valid; },
     "height = 10|at least 11|valid"},
    {"valid_width_10", [](Call& c) { c.problem.width = 10, c.problem.padding = Padding::valid; },
     "width = 10|at least 11|valid"},
    {"padding_unknown", [](Call& c) { c.problem.padding = static_cast<Padding>(7); }, "padding = 7|same|valid"},
    {"too_many_elements", [](Call& c) { c.problem.batch = c.problem.channels = std::int64_t{1} << 31; }, "2^57"},
    {"width_over_32_bits", [](Call& c) { c.problem.width = std::int64_t{1} << 33; }, "width = 8589934592|at most"},
    {"grad_x_is_x", [](Call& c) { c.arguments.grad_x = const_cast<float*>(c.arguments.x); }, "grad_x = |overlaps x = "},
    {"grad_x_in_y", [](Call& c) { c.arguments.grad_x = const_cast<float*>(c.arguments.y) + 255; },
     "overlaps y = |apart"},
    {"mean_in_grad_x", [](Call& c) { c.arguments.mean = reinterpret_cast<double*>(c.arguments.grad_x); },
     "mean = |overlaps grad_x = "},
    {"mean_fp32_in_mean", [](Call& c) { c.arguments.mean_fp32 = reinterpret_cast<float*>(c.arguments.mean) + 1; },
     "mean = |overlaps mean_fp32 = "},
    {"weight_in_grad_x", [](Call& c) { c.arguments.weight = c.arguments.grad_x + 7; }, "grad_x = |overlaps weight = "},
    {"workspace_holds_mean", [](Call& c) { c.arguments.mean = static_cast<double*>(c.arguments.workspace) + 4; },
     "mean = |overlaps workspace = "},
    {"c1_zero", [](Call& c) { c.problem.c1 = 0; }, "c1 = 0|positive"},
    {"c2_negative", [](Call& c) { c.problem.c2 = -1; }, "c2 = -1|positive"},
    {"c2_nan", [](Call& c) { c.problem.c2 = std::numeric_limits<float>::quiet_NaN(); }, "c2 = |positive"},
    {"c1_infinite", [](Call& c) { c.problem.c1 = std::numeric_limits<float>::infinity(); }, "c1 = inf|finite"},
};

class BadInput : public testing::TestWithParam<Bad> {};

TEST_P(BadInput, RefusesBeforeMemoryIsTouched) {
  Call c;
  GetParam().spoil(c);
  const Status status = value_and_grad(Device::cpu, c.problem, c.arguments);
  EXPECT_EQ(status.code, GetParam().code);
  expect_words(status.message, GetParam().message);
  for (const Memory* m : {&c.mean, &c.grad}) {
    for (const unsigned char byte : m->download<unsigned char>()) ASSERT_EQ(byte, 0xFF) << "an output was written";
  }
  const std::vector<unsigned char> block = c.workspace.download<unsigned char>();
  for (std::int64_t i = 0; i < kControlBytes; ++i) ASSERT_EQ(block[static_cast<std::size_t>(i)], 0);
}

INSTANTIATE_TEST_SUITE_P(Cpp, BadInput, testing::ValuesIn(kBad), [](const auto& info) { return info.param.name; });

TEST(Entry, RefusesDevicesAndModesThatThereAreNot) {
  Call c;
  for (const int number : {-1, 3, 9}) {
    const auto device = static_cast<Device>(number);
    const std::string words = "device = " + std::to_string(number) + "|cpu (0)|cuda (1)|cuda_emulated (2)";
    for (const Status& status : {value(device, c.problem, c.arguments), value_and_grad(device, c.problem, c.arguments),
                                 init_workspace(device, c.workspace.data(), c.workspace.bytes())}) {
      EXPECT_EQ(status.code, Code::invalid_argument);
      expect_words(status.message, words);
    }
    EXPECT_EQ(workspace_bytes(device, c.problem, Mode::train), -1);
    EXPECT_EQ(chosen_row(device, c.problem, Mode::train), nullptr);
  }
  for (const int number : {-1, 2, 5}) {
    EXPECT_EQ(workspace_bytes(Device::cpu, c.problem, static_cast<Mode>(number)), -1);
    EXPECT_EQ(chosen_row(Device::cpu, c.problem, static_cast<Mode>(number)), nullptr);
  }
}

TEST(Entry, TakesWhatIsRight) {
  Call c;
  EXPECT_TRUE(value_and_grad(Device::cpu, c.problem, c.arguments)) << "two black images";
  EXPECT_EQ(*c.mean.as<double>(), 1);
  c.arguments.weight = nullptr;
  EXPECT_TRUE(value_and_grad(Device::cpu, c.problem, c.arguments)) << "a null weight means 1";
  c.arguments.grad_x = nullptr;
  EXPECT_TRUE(value(Device::cpu, c.problem, c.arguments)) << "infer has no gradient";
}

TEST(Entry, ARowThatDoesNotRoundTheMeanSaysSo) {
  Call c;
  Implementation row = *find_row(Device::cpu, "production");
  row.rounds_mean = false;
  EXPECT_TRUE(call(row, c.problem, Mode::train, c.arguments));
  c.mean.fill(0xFF);
  Memory rounded(Device::cpu, sizeof(float));
  c.arguments.mean_fp32 = rounded.as<float>();
  const Status status = call(row, c.problem, Mode::train, c.arguments);
  EXPECT_EQ(status.code, Code::unsupported);
  expect_words(status.message, "mean_fp32 = |must be null|cpu:production");
  for (const unsigned char byte : c.mean.download<unsigned char>()) ASSERT_EQ(byte, 0xFF) << "an output was written";
}

TEST(Entry, SizesAndNamesOfWhatIsNoProblem) {
  EXPECT_EQ(workspace_bytes(Device::cpu, {.height = 0}, Mode::train), -1);
  EXPECT_EQ(chosen_row(Device::cpu, {.height = 0}, Mode::train), nullptr);
  EXPECT_NE(chosen_row(Device::cpu, {}, Mode::train), nullptr);
}

TEST(Entry, InitWorkspaceChecksItsArguments) {
  alignas(256) char block[512];
  expect_words(init_workspace(Device::cpu, nullptr, 512).message, "workspace|null pointer");
  expect_words(init_workspace(Device::cpu, block + 16, 256).message, "workspace = |256 bytes");
  expect_words(init_workspace(Device::cpu, block, 255).message, "bytes = 255|at least 256");
  block[255] = block[256] = 1;
  EXPECT_TRUE(init_workspace(Device::cpu, block, 512));
  EXPECT_EQ(block[255], 0);
  EXPECT_EQ(block[256], 1) << "the control block alone is zeroed";
}

TEST(Entry, AnAbsentDeviceIsNamed) {
  std::string reason;
  if (device_available(Device::cuda, &reason)) return skip("device cuda is there");
  Call c;
  const Status status = value_and_grad(Device::cuda, c.problem, c.arguments);
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace ssim::verify
