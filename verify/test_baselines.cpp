// SPDX-License-Identifier: MIT
// The baselines are what they say: the row pytorch_mssim gives what the package gives (stored values of
// pytorch-msssim 1.0.0, golden/make_pytorch_msssim.py), leaves autograd's gradient in the caller's memory, scales with
// the weight, and turns what LibTorch throws into a Status.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "baselines/all_rows.hpp"
#include "baselines/settings.hpp"
#include "check.hpp"
#include "golden.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "memory.hpp"

namespace ssim {
namespace {

using verify::ImagePair;
using verify::Memory;

const Implementation* find(Device device, const std::string& name) {
  for (const Implementation& row : all_rows()) {
    if (row.device == device && row.name == name) return &row;
  }
  return nullptr;
}

struct Outcome {
  Status status;
  double mean = 0;
  std::vector<float> gradient;
};

Outcome run(const Implementation& row, const Problem& problem, Mode mode, const ImagePair& pair,
            const float* weight = nullptr) {
  const Device device = row.device;
  const std::int64_t bytes = problem.elements() * 4;
  Memory x(device, bytes), y(device, bytes), mean(device, 8), gradient(device, bytes), scale(device, 4);
  x.upload(pair.x.data());
  y.upload(pair.y.data());
  if (weight) scale.upload(weight);
  const std::int64_t workspace_bytes = row.workspace_bytes(problem, mode);
  Memory workspace(device, workspace_bytes ? workspace_bytes : kControlBytes);
  if (workspace_bytes) init_workspace(device, workspace.data(), workspace_bytes);
  Outcome outcome;
  outcome.status = call(row, problem, mode,
                        {.x = x.as<float>(),
                         .y = y.as<float>(),
                         .weight = weight ? scale.as<float>() : nullptr,
                         .mean = mean.as<double>(),
                         .grad_x = gradient.as<float>(),
                         .workspace = workspace.data(),
                         .workspace_bytes = workspace_bytes});
  verify::synchronize(device);
  mean.download(&outcome.mean);
  outcome.gradient = gradient.download<float>();
  for (const Memory* memory : {&x, &y, &mean, &gradient}) EXPECT_EQ(memory->damage(), "");
  EXPECT_EQ(x.download<float>(), pair.x);
  EXPECT_EQ(y.download<float>(), pair.y);
  return outcome;
}

// Largest |a - b| over RMS of b; NaN counts as infinite.
double error_over_rms(const std::vector<float>& a, const std::vector<double>& b) {
  double worst = 0, squares = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double error = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
    squares += b[i] * b[i];
  }
  return worst / std::sqrt(squares / static_cast<double>(b.size()));
}

class Baselines : public testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    std::string reason;
    if (!device_available(GetParam(), &reason)) GTEST_SKIP() << reason;
    if (baselines::torch_version().empty()) GTEST_SKIP() << "built without LibTorch";
    if (GetParam() == Device::cuda && !baselines::torch_has_cuda()) GTEST_SKIP() << "LibTorch without CUDA";
    baselines::apply_settings(baselines::Settings::best);
  }
};

TEST_P(Baselines, PytorchMssimGivesThePackagesValues) {
  const Implementation* row = find(GetParam(), "pytorch_mssim");
  ASSERT_TRUE(row);
  const std::vector<verify::PackageCase> cases = verify::package_cases();
  ASSERT_GE(cases.size(), 9u);
  for (const verify::PackageCase& stored : cases) {
    SCOPED_TRACE(stored.name);
    // Photographs have flat regions, in which the package's own fp32 is off by so much.
    const bool photo = stored.name.rfind("photo", 0) == 0;
    for (const Mode mode : {Mode::infer, Mode::train}) {
      const Outcome outcome = run(*row, stored.problem, mode, {stored.x, stored.y});
      ASSERT_TRUE(outcome.status) << outcome.status.message;
      EXPECT_NEAR(outcome.mean, stored.value_fp32, photo ? 1e-5 : 1e-6);
      EXPECT_NEAR(outcome.mean, stored.value_fp64, photo ? 1e-5 : 1e-6);
      if (mode == Mode::infer) continue;
      EXPECT_LE(error_over_rms(outcome.gradient, stored.gradient_fp32), photo ? 1e-3 : 1e-4);
      EXPECT_LE(error_over_rms(outcome.gradient, stored.gradient_fp64), photo ? 1e-3 : 1e-4);
    }
  }
}

// cuDNN takes TF32 for a single row of windows of one channel, whatever the caller's process allows.
TEST_P(Baselines, AreFp32WhereTf32IsAllowed) {
  at::Context& context = at::globalContext();
  const bool before = context.allowTF32CuDNN();
  context.setAllowTF32CuDNN(true);
  const verify::Case one(GetParam(), {1, 1, 11, 517, Padding::valid}, "uniform", 738559183);
  for (const char* name : {"naive_conv", "pytorch_mssim"}) {
    for (const Mode mode : {Mode::infer, Mode::train}) {
      const verify::Verdict verdict = verify::verify_row(*find(GetParam(), name), one, mode);
      EXPECT_TRUE(verdict.ok) << verdict.message;
    }
  }
  EXPECT_TRUE(context.allowTF32CuDNN()) << "the process's own setting was changed";
  context.setAllowTF32CuDNN(before);
}

// Calls of several threads turn the one setting of the process off and on.
TEST_P(Baselines, LeaveTf32AsItWasWhereCallsOverlap) {
  at::Context& context = at::globalContext();
  const bool before = context.allowTF32CuDNN();
  context.setAllowTF32CuDNN(true);
  const Implementation* row = find(GetParam(), "naive_conv");
  ASSERT_TRUE(row);
  const Problem problem{1, 1, 12, 12, Padding::valid};
  const verify::ImagePair images = verify::make_images(problem, "uniform", 1);
  std::array<std::string, 4> wrong;
  std::vector<std::thread> threads;
  for (std::string& message : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100 && message.empty(); ++i) {
        try {
          if (const Outcome outcome = run(*row, problem, Mode::infer, images); !outcome.status) {
            message = outcome.status.message;
          }
        } catch (const std::exception& error) {
          message = error.what();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& message : wrong) EXPECT_EQ(message, "");
  EXPECT_NO_THROW(EXPECT_TRUE(context.allowTF32CuDNN()));
  context.setAllowTF32CuDNN(before);
}

TEST_P(Baselines, ScaleWithTheWeight) {
  for (const char* name : {"naive_conv", "pytorch_mssim", "operator"}) {
    const Implementation* row = find(GetParam(), name);
    ASSERT_TRUE(row) << name;
    const Problem problem{1, 2, 24, 31, Padding::valid};
    const ImagePair pair = verify::golden_images(problem, "blend");
    const Outcome one = run(*row, problem, Mode::train, pair);
    const float weight = -0.25f;
    const Outcome scaled = run(*row, problem, Mode::train, pair, &weight);
    ASSERT_TRUE(one.status && scaled.status) << name;
    EXPECT_EQ(one.mean, scaled.mean) << name;
    std::vector<double> expected;
    for (const float g : one.gradient) expected.push_back(-0.25 * static_cast<double>(g));
    EXPECT_LE(error_over_rms(scaled.gradient, expected), 1e-6) << name;
  }
}

// A copy behind autograd would handicap these rows in training.
TEST_P(Baselines, GradientIsSummedInTheCallersMemory) {
  for (const char* name : {"naive_conv", "pytorch_mssim", "operator"}) {
    for (const Padding padding : {Padding::same, Padding::valid}) {
      const Implementation* row = find(GetParam(), name);
      ASSERT_TRUE(row) << name;
      const Problem problem{1, 2, 24, 31, padding};
      if (!row->supports(problem, Mode::train).empty()) continue;
      const std::int64_t before = baselines::gradients_copied();
      ASSERT_TRUE(run(*row, problem, Mode::train, verify::golden_images(problem, "noise")).status);
      EXPECT_EQ(baselines::gradients_copied(), before) << key(*row, problem, Mode::train);
    }
  }
}

TEST_P(Baselines, RefuseWhatTheyCannotDo) {
  const Implementation* mssim = find(GetParam(), "pytorch_mssim");
  ASSERT_TRUE(mssim);
  EXPECT_EQ(mssim->supports({1, 3, 32, 32, Padding::same}, Mode::infer), "pytorch-msssim has no padding `same`");
  const Problem huge{1 << 14, 1, 1 << 10, 1 << 10, Padding::valid};
  EXPECT_NE(mssim->supports(huge, Mode::infer).find("2^31 - 1"), std::string::npos);
  const Problem large{1, 1, 40000, 50000, Padding::valid};  // 2e9 elements
  const std::string reason = mssim->supports(large, Mode::train);
  if (verify::free_memory(GetParam()) < 150'000'000'000) {
    EXPECT_NE(reason.find("GB of memory"), std::string::npos) << reason;
  }
}

TEST_P(Baselines, AreNeverCapturedAndAlwaysBaselines) {
  for (const char* name : {"naive_conv", "pytorch_mssim"}) {
    EXPECT_TRUE(find(GetParam(), name)->baseline);
    EXPECT_FALSE(find(GetParam(), name)->capturable);
  }
  EXPECT_FALSE(find(GetParam(), "operator")->baseline);
}

INSTANTIATE_TEST_SUITE_P(, Baselines, testing::Values(Device::cpu, Device::cuda),
                         [](const auto& info) { return std::string(to_string(info.param)); });

}  // namespace
}  // namespace ssim
