// SPDX-License-Identifier: MIT
// What LibTorch's allocators hand out is counted: exactly for blocks of known size, plausibly for the baselines.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/sum.h>
#include <c10/core/Allocator.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "baselines/all_rows.hpp"
#include "baselines/memory_meter.hpp"
#include "kernels/registry.hpp"
#include "kernels/torch/bridge.hpp"
#include "verify/memory.hpp"

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

TEST(MemoryMeter, TheOutputIsKeptButNotToThePeak) {
  float output[100];
  const auto tell = [&](std::int64_t bytes) {
    c10::reportMemoryUsageToProfiler(output, bytes, 0, 0, c10::Device(c10::kCPU));
  };
  const at::Tensor x = at::rand({1000}).set_requires_grad(true);
  const auto step = [&] {
    tell(sizeof output);
    torch::autograd::grad({at::sum(x)}, {x});
    tell(-static_cast<std::int64_t>(sizeof output));
  };
  const MemoryUse apart = count_memory(step, output), together = count_memory(step);
  EXPECT_EQ(apart.kept, together.kept);
  EXPECT_GE(apart.kept, static_cast<std::int64_t>(sizeof output));
  EXPECT_EQ(apart.peak + static_cast<std::int64_t>(sizeof output), together.peak);
}

/// Memory of a call of a LibTorch row on 1x3x96x96, after one that makes what is made once.
MemoryUse use_of(const std::string& name, Device device, Mode mode) {
  const Problem problem{1, 3, 96, 96, Padding::valid};
  const std::int64_t bytes = problem.elements() * static_cast<std::int64_t>(sizeof(float));
  verify::Memory x(device, bytes), y(device, bytes), gradient(device, bytes), mean(device, sizeof(double));
  x.fill(0x3e);  // 0.186
  y.fill(0x3f);  // 0.748
  const Arguments arguments{.x = x.as<const float>(),
                            .y = y.as<const float>(),
                            .mean = mean.as<double>(),
                            .grad_x = mode == Mode::train ? gradient.as<float>() : nullptr};
  const auto row = std::find_if(all_rows().begin(), all_rows().end(),
                                [&](const Implementation& r) { return r.device == device && r.name == name; });
  if (row == all_rows().end()) throw std::runtime_error("no row " + name);
  const auto run = [&] {
    const Status status = call(*row, problem, mode, arguments);
    if (!status) throw std::runtime_error(status.message);
    verify::synchronize(device);
  };
  run();
  const MemoryUse use = count_memory(run, arguments.grad_x);
  EXPECT_EQ(count_memory(run, arguments.grad_x).peak, use.peak) << name;
  return use;
}

class MemoryOfRows : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    std::string reason = torch_bridge::runs_on(GetParam());
    if (reason.empty()) device_available(GetParam(), &reason);
    if (!reason.empty()) GTEST_SKIP() << reason;
  }
};

constexpr std::int64_t kElements = 3 * 96 * 96;

TEST_P(MemoryOfRows, BaselinesTakeTensOfBytesAnElement) {
  for (const Mode mode : {Mode::infer, Mode::train}) {
    const MemoryUse use = use_of("pytorch_mssim", GetParam(), mode);
    EXPECT_GT(use.peak, 20 * kElements) << to_string(mode);
    if (GetParam() == Device::cpu) {  // cuDNN takes workspaces of any size
      EXPECT_LT(use.peak, 400 * kElements) << to_string(mode);
    }
    if (mode == Mode::train) {
      EXPECT_GT(use.kept, 20 * kElements);
      EXPECT_LE(use.kept, use.peak);
    } else {
      EXPECT_EQ(use.kept, -1);
    }
  }
}

// The operator keeps the gradient, which lies in the caller's memory here, and the other one nothing of that size.
// Beyond it both take the kernel's workspace and a few numbers.
TEST_P(MemoryOfRows, OperatorsKeepAGradientOrNothing) {
  const Problem problem{1, 3, 96, 96, Padding::valid};
  for (const Mode mode : {Mode::infer, Mode::train}) {
    const std::int64_t workspace = workspace_bytes(GetParam(), problem, mode), numbers = 4096;
    const MemoryUse use = use_of("operator", GetParam(), mode);
    EXPECT_GE(use.peak, workspace) << to_string(mode);
    EXPECT_LE(use.peak, workspace + numbers) << to_string(mode);
    if (mode == Mode::infer) {
      EXPECT_EQ(use.kept, -1);
      continue;
    }
    EXPECT_GE(use.kept, 4 * kElements);
    EXPECT_LE(use.kept, 4 * kElements + workspace + numbers);
    const std::int64_t of_value = workspace_bytes(GetParam(), problem, Mode::infer);
    const MemoryUse recompute = use_of("operator_recompute", GetParam(), mode);
    EXPECT_LE(recompute.kept, of_value + numbers);
    EXPECT_GE(recompute.peak, workspace);
    EXPECT_LE(recompute.peak, workspace + of_value + numbers);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, MemoryOfRows, testing::Values(Device::cpu, Device::cuda),
                         [](const auto& info) { return std::string(to_string(info.param)); });

}  // namespace
}  // namespace ssim::baselines
