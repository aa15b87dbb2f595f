// SPDX-License-Identifier: MIT
// The operator from C++: both ways to make an autograd step, what each keeps, and fused_ssim_with_grad.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/registry.hpp"
#include "kernels/torch/bridge.hpp"
#include "kernels/torch/fused_ssim.hpp"
#include "kernels/torch/switches.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

using op::Backward;

struct Images {
  at::Tensor x, y;
  at::Tensor leaf() const { return x.clone().set_requires_grad(true); }
};

Images images(at::Device device, at::IntArrayRef shape = {2, 3, 30, 41}) {
  const at::Tensor x = at::rand(shape);
  return {x.to(device), (0.7 * x + 0.3 * at::rand(shape)).to(device)};
}

at::Tensor gradient(const at::Tensor& value, const at::Tensor& leaf, const at::Tensor& factor = {},
                    bool keep_graph = false) {
  return torch::autograd::grad({value}, {leaf}, {factor}, keep_graph)[0];
}

// Bytes that LibTorch's allocators have handed out and not got back while it lives.
class Allocated : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override { bytes += size; }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t bytes = 0;
};

class Operator : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    std::string reason = torch_bridge::runs_on(GetParam());
    if (reason.empty()) reason = cannot_run(GetParam());
    if (!reason.empty()) skip(reason, GetParam() == Device::cuda);
  }
  at::Device device() const { return torch_bridge::torch_device(GetParam()); }
};

TEST_P(Operator, BothWaysGiveTheSameGradient) {
  const Images pair = images(device());
  for (const double number : {1.0, -0.5, 0.0, 3.7}) {
    const at::Tensor factor = at::tensor(static_cast<float>(number)).to(device());
    at::Tensor found[2], values[2];
    for (const Backward backward : {Backward::scale, Backward::recompute}) {
      const op::SwitchScope switched({.backward = backward});
      const at::Tensor leaf = pair.leaf();
      values[static_cast<int>(backward)] = fused_ssim(leaf, pair.y, "valid").detach();
      found[static_cast<int>(backward)] = gradient(fused_ssim(leaf, pair.y, "valid"), leaf, factor);
    }
    EXPECT_LE((values[0] - values[1]).abs().item<float>(), 1e-7f);
    const float largest = found[0].abs().max().item<float>();
    EXPECT_LE((found[0] - found[1]).abs().max().item<float>(), 4e-7f * largest) << "factor " << number;
    EXPECT_EQ(largest > 0, number != 0);
  }
}

TEST_P(Operator, WithGradIsValueAndWeightedGradient) {
  const Images pair = images(device());
  const auto [value, one] = fused_ssim_with_grad(pair.x, pair.y);
  EXPECT_LE((value - fused_ssim(pair.x, pair.y)).abs().item<float>(), 1.2e-7f);  // another kernel may have made it
  for (const double number : {1.0, -2.0, 0.25, 0.0, -2.0}) {                     // powers of two scale exactly
    const at::Tensor weight = at::tensor(static_cast<float>(number)).to(device());
    for (const auto& [again, scaled] :
         {fused_ssim_with_grad(pair.x, pair.y, "same", number), fused_ssim_with_grad(pair.x, pair.y, "same", weight)}) {
      EXPECT_TRUE(at::equal(value, again));
      EXPECT_TRUE(at::equal(scaled, one * number)) << number;
    }
  }
}

TEST_P(Operator, RetainedGraph) {
  const Images pair = images(device());
  for (const Backward backward : {Backward::scale, Backward::recompute}) {
    const op::SwitchScope switched({.backward = backward});
    const at::Tensor leaf = pair.leaf(), value = fused_ssim(leaf, pair.y);
    const at::Tensor first = gradient(value, leaf, {}, true), kept = first.clone();
    first.mul_(7);
    EXPECT_TRUE(at::equal(gradient(value, leaf), kept));
    EXPECT_THROW(gradient(value, leaf), c10::Error);
  }
}

TEST_P(Operator, ImagesChangedBeforeTheBackward) {
  const Images pair = images(device());
  const at::Tensor expected = std::get<1>(fused_ssim_with_grad(pair.x, pair.y));
  const auto value_of = [&](const at::Tensor& leaf, const at::Tensor& target) {
    const at::Tensor value = fused_ssim(leaf, target);
    target.zero_();
    return value;
  };
  at::Tensor leaf = pair.leaf();
  EXPECT_TRUE(at::equal(gradient(value_of(leaf, pair.y.clone()), leaf), expected));  // needs them no more
  const op::SwitchScope switched({.backward = Backward::recompute});
  leaf = pair.leaf();
  EXPECT_THROW(gradient(value_of(leaf, pair.y.clone()), leaf), c10::Error);  // a wrong gradient otherwise
}

TEST_P(Operator, MemoryKeptForTheBackward) {
  const Images pair = images(device(), {1, 3, 128, 128});
  const at::Tensor leaf = pair.leaf();
  const std::int64_t bytes = leaf.numel() * 4, scalars = 2048;
  for (const Backward backward : {Backward::scale, Backward::recompute}) {
    const op::SwitchScope switched({.backward = backward});
    gradient(fused_ssim(leaf, pair.y), leaf);
    const auto allocated = std::make_shared<Allocated>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, allocated);
    const at::Tensor value = fused_ssim(leaf, pair.y);
    const std::int64_t kept = backward == Backward::scale ? bytes : 0;
    EXPECT_GE(allocated->bytes, kept);
    EXPECT_LE(allocated->bytes, kept + scalars);
    const at::Tensor result = gradient(value, leaf);
    EXPECT_LE(allocated->bytes, bytes + scalars);  // scaled where it lies
  }
}

TEST_P(Operator, BadWeights) {
  const Images pair = images(device());
  const auto message = [&](const auto& weight) -> std::string {
    try {
      fused_ssim_with_grad(pair.x, pair.y, "same", weight);
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  };
  EXPECT_NE(message(1e300).find("weight is 1e+300; it must be finite in fp32"), std::string::npos);
  EXPECT_NE(message(at::rand({3}, pair.x.options())).find("weight has shape [3]; it must have one element"),
            std::string::npos);
  EXPECT_NE(message(at::rand({}, pair.x.options().dtype(at::kDouble))).find("weight has dtype Double; it must be"),
            std::string::npos);
  EXPECT_NE(message(at::rand({}, pair.x.options().device(at::kMeta))).find("weight is on device meta"),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(, Operator, testing::Values(Device::cpu, Device::cuda),
                         [](const auto& info) { return std::string(to_string(info.param)); });

}  // namespace
}  // namespace ssim::verify
