// SPDX-License-Identifier: MIT
// What LibTorch's allocators hand out is counted: exactly for blocks of known size, plausibly for the baselines.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/sum.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <optional>
#include <vector>

#include "baselines/all_rows.hpp"
#include "baselines/memory_meter.hpp"

namespace ssim::baselines {
namespace {

TEST(MemoryMeter, PeakIsWhatIsHeldAtATime) {
  const MemoryUse use = count_memory([] {
    std::optional<at::Tensor> first = at::empty({1000}, at::kFloat), second = at::empty({500}, at::kFloat);
    first.reset();
    const at::Tensor third = at::empty({600}, at::kFloat);
  });
  EXPECT_EQ(use.peak, 6000);
  EXPECT_EQ(use.kept, -1);
}

TEST(MemoryMeter, KeptIsWhatIsHeldWhenTheBackwardBegins) {
  const at::Tensor x = at::rand({1000}).set_requires_grad(true), y = at::rand({1000});
  const MemoryUse use = count_memory([&] {
    const at::Tensor sum = at::sum(x * x * y);  // keeps x * x for the gradient; a scalar and its gradient beside it
    torch::autograd::grad({sum}, {x});
  });
  EXPECT_GE(use.kept, 0);
  EXPECT_LE(use.kept, 4000 + 64);
  EXPECT_GE(use.peak, 8000);
}

TEST(MemoryMeter, NothingIsCountedOutside) {
  const at::Tensor before = at::empty({1 << 20}, at::kFloat);
  EXPECT_EQ(count_memory([] {}).peak, 0);
}

TEST(MemoryMeter, FailuresPassThrough) {
  EXPECT_THROW(count_memory([] { throw std::runtime_error("x"); }), std::runtime_error);
  EXPECT_EQ(count_memory([] { at::empty({10}, at::kFloat); }).peak, 40);
}

TEST(MemoryMeter, BaselinesTakeTensOfBytesAnElement) {
  const Problem problem{1, 3, 96, 96, Padding::valid};
  const std::vector<float> x(3 * 96 * 96, 0.25f), y(3 * 96 * 96, 0.5f);
  std::vector<float> gradient(x.size());
  for (const Implementation& row : all_rows()) {
    if (row.device != Device::cpu || row.name != "pytorch_mssim") continue;
    for (const Mode mode : {Mode::infer, Mode::train}) {
      double mean = 0;
      const auto run = [&] {
        const Status status = call(
            row, problem, mode,
            {.x = x.data(), .y = y.data(), .mean = &mean, .grad_x = mode == Mode::train ? gradient.data() : nullptr});
        ASSERT_TRUE(status) << status.message;
      };
      run();  // what is made once and kept
      const MemoryUse use = count_memory(run);
      const double each = static_cast<double>(use.peak) / static_cast<double>(problem.elements());
      EXPECT_GT(each, 20) << to_string(mode);
      EXPECT_LT(each, 400) << to_string(mode);
      if (mode == Mode::train) {
        EXPECT_GT(use.kept, 20 * problem.elements());
        EXPECT_LE(use.kept, use.peak);
      } else {
        EXPECT_EQ(use.kept, -1);
      }
      EXPECT_EQ(count_memory(run).peak, use.peak);
    }
  }
}

}  // namespace
}  // namespace ssim::baselines
