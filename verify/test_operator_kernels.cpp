// SPDX-License-Identifier: MIT
// The kernels that the LibTorch operator runs beside a row, emulated and on a card.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cuda/operator_kernels.hpp"
#include "memory.hpp"
#include "row_tests.hpp"
#if SSIM_WITH_EMULATION
#include "instantiations.hpp"
#endif

namespace ssim::verify {
namespace {

struct Kernels {
  Device device;
  decltype(&cuda::scale) scale;
  decltype(&cuda::store) store;
};

std::vector<Kernels> all_kernels() {
  return {
#if SSIM_WITH_EMULATION
    {Device::cuda_emulated, cuda_emulated::scale, cuda_emulated::store},
#endif
#if SSIM_WITH_CUDA
        {Device::cuda, cuda::scale, cuda::store},
#endif
  };
}

void for_each(const std::function<void(const Kernels&)>& body) {
  int ran = 0;
  for (const Kernels& kernels : all_kernels()) {
    if (!cannot_run(kernels.device).empty()) continue;
    SCOPED_TRACE(to_string(kernels.device));
    body(kernels);
    ++ran;
  }
  if (ran == 0) skip("neither a GPU nor the emulation");
}

Memory one_value(Device device, float value) {
  Memory memory(device, sizeof value);
  memory.upload(&value);
  return memory;
}

TEST(OperatorKernels, ScaleMultipliesEveryValueOnce) {
  for_each([](const Kernels& kernels) {
    for (const std::int64_t count : {1, 2, 3, 4, 5, 7, 1023, 4096, 4097, 9001}) {
      for (const std::int64_t offset : {0, 4, 8, 12}) {
        SCOPED_TRACE("count " + std::to_string(count) + ", offset " + std::to_string(offset));
        std::vector<float> host(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < host.size(); ++i) host[i] = 0.1f * static_cast<float>(i + 1);
        Memory values(kernels.device, count * 4, offset);
        values.upload(host.data());
        const Memory factor = one_value(kernels.device, -0.3f);
        const Status status = kernels.scale(values.as<float>(), values.as<float>(), count, factor.as<float>(), nullptr);
        ASSERT_TRUE(status) << status.message;
        synchronize(kernels.device);
        const auto scaled = values.download<float>();
        for (std::size_t i = 0; i < host.size(); ++i) ASSERT_EQ(scaled[i], host[i] * -0.3f) << i;
        EXPECT_EQ(values.damage(), "");
        EXPECT_EQ(factor.download<float>()[0], -0.3f);
      }
    }
  });
}

TEST(OperatorKernels, ScaleIntoOtherMemory) {
  for_each([](const Kernels& kernels) {
    for (const std::int64_t count : {1, 3, 4, 4099}) {
      for (const float f : {1.0f, -2.5f}) {
        std::vector<float> host(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < host.size(); ++i) host[i] = 0.1f * static_cast<float>(i + 1);
        Memory values(kernels.device, count * 4, 4), result(kernels.device, count * 4, 20);
        values.upload(host.data());
        const Memory factor = one_value(kernels.device, f);
        const Status status = kernels.scale(values.as<float>(), result.as<float>(), count, factor.as<float>(), nullptr);
        ASSERT_TRUE(status) << status.message;
        synchronize(kernels.device);
        const auto scaled = result.download<float>();
        for (std::size_t i = 0; i < host.size(); ++i) ASSERT_EQ(scaled[i], host[i] * f) << i;
        EXPECT_EQ(values.download<float>(), host);
        EXPECT_EQ(result.damage(), "");
      }
    }
    Memory values(kernels.device, 64, 4), result(kernels.device, 64);
    const Memory factor = one_value(kernels.device, 2);
    const Status status = kernels.scale(values.as<float>(), result.as<float>(), 8, factor.as<float>(), nullptr);
    EXPECT_EQ(status.code, Status::Code::invalid_argument);
    EXPECT_NE(std::string(status.message).find("not equal modulo 16 bytes"), std::string::npos);
  });
}

TEST(OperatorKernels, ScaleByOneZeroAndNan) {
  for_each([](const Kernels& kernels) {
    for (const float f : {1.0f, 0.0f, std::nanf("")}) {
      const std::vector<float> host = {1.5f, -2.0f, 0.0f, 3.0f, 5.0f};
      Memory values(kernels.device, 20);
      values.upload(host.data());
      const Memory factor = one_value(kernels.device, f);
      ASSERT_TRUE(kernels.scale(values.as<float>(), values.as<float>(), 5, factor.as<float>(), nullptr));
      synchronize(kernels.device);
      const auto scaled = values.download<float>();
      for (std::size_t i = 0; i < host.size(); ++i) {
        if (std::isnan(f)) {
          EXPECT_TRUE(std::isnan(scaled[i]));
        } else {
          EXPECT_EQ(scaled[i], host[i] * f);
        }
      }
    }
  });
}

TEST(OperatorKernels, StoreWritesTheValue) {
  for_each([](const Kernels& kernels) {
    Memory to(kernels.device, 4, 4);
    ASSERT_TRUE(kernels.store(-0.25f, to.as<float>(), nullptr));
    synchronize(kernels.device);
    EXPECT_EQ(to.download<float>()[0], -0.25f);
    EXPECT_EQ(to.damage(), "");
  });
}

// The last of them: `./suite sanitize` gives these tests to compute-sanitizer.
TEST(OperatorKernels, WereAllRun) {
  if (const std::string reason = cannot_run(Device::cuda_emulated); !reason.empty()) return skip(reason);
#if SSIM_WITH_EMULATION
  expect_every_instantiation(is_of_operator);
#endif
}

}  // namespace
}  // namespace ssim::verify
