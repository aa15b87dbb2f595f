// SPDX-License-Identifier: MIT
// The GPU's clocks against operations of which it is known how long they take. Skipped where there is no GPU.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "gpu_device.hpp"
#include "kernels/registry.hpp"

namespace ssim::bench {
namespace {

class GpuTimer : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    if (!device_available(Device::cuda, &reason)) GTEST_SKIP() << reason;
    gpu_ = std::make_unique<GpuDevice>();
    gpu_->warm_to_steady();
  }

  double median_of(Sampler& sampler, int count = 33) {
    std::vector<double> seconds;
    for (int i = 0; i < count; ++i) {
      if (i % 8 == 0) sampler.warm_up();
      seconds.push_back(sampler.sample().seconds);
    }
    return median(seconds);
  }

  // An operation that takes this long on the device and next to nothing on the host.
  std::function<void()> waiting(double seconds) {
    return [this, seconds] {
      check(delay(static_cast<std::int64_t>(1e9 * seconds), nullptr, gpu_->cuda_stream()), "delay");
    };
  }

  std::unique_ptr<GpuDevice> gpu_;
};

TEST_F(GpuTimer, EveryClockReadsAKnownTime) {
  for (const double seconds : {30e-6, 300e-6, 3e-3}) {
    for (const Clock clock : {Clock::cold, Clock::hot, Clock::graph, Clock::wall}) {
      const auto sampler = gpu_->sampler(clock, waiting(seconds));
      const double read = median_of(*sampler);
      // The wait itself begins at a tick of the timer (up to 1 us) and a kernel's start and end take about 3 us; the
      // host's clock holds the launch and the synchronisation as well.
      EXPECT_GE(read, seconds) << to_string(clock);
      EXPECT_LE(read, seconds + (clock == Clock::wall ? 40e-6 : 8e-6)) << to_string(clock);
      EXPECT_FALSE(sampler->host_bound()) << to_string(clock) << " " << seconds;
    }
  }
}

TEST_F(GpuTimer, TheSteadyClockIsAClock) {
  const double mhz = gpu_->warm_to_steady();
  EXPECT_GT(mhz, 500);
  EXPECT_LT(mhz, 4000);
  EXPECT_NEAR(gpu_->warm_to_steady(), mhz, 0.1 * mhz);
  const auto sampler = gpu_->sampler(Clock::hot, waiting(50e-6));
  sampler->warm_up();
  EXPECT_NEAR(sampler->sample().sm_mhz, mhz, 0.25 * mhz);
}

TEST_F(GpuTimer, APlantedSpinTakesItsTimeToAFractionOfAMicrosecond) {
  // Against a spin of no length, so that the cost of a kernel in between cancels.
  const auto behind = [&](double seconds) {
    return gpu_->sampler(Clock::hot, [this, seconds] {
      waiting(50e-6)();
      gpu_->enqueue_spin(seconds);
    });
  };
  const double none = median_of(*behind(0));
  for (const double seconds : {0.5e-6, 1.5e-6, 10e-6}) {
    EXPECT_NEAR(median_of(*behind(seconds)) - none, seconds, 0.3e-6 + 0.03 * seconds) << seconds;
  }
}

TEST_F(GpuTimer, EventsResolveAMicrosecond) {
  EXPECT_LT(gpu_->event_seconds(-1), 10e-6);
  EXPECT_GT(gpu_->event_seconds(100e-6), 95e-6);
  EXPECT_LT(gpu_->event_seconds(100e-6), 115e-6);
}

TEST_F(GpuTimer, AColdFigureDoesNotDependOnTheDelayThatHidesTheLaunch) {
  const auto usual = gpu_->cold_sampler({}, waiting(100e-6)),
             longer = gpu_->cold_sampler({.delay = 4}, waiting(100e-6));
  EXPECT_NEAR(median_of(*usual), median_of(*longer), 2e-6);
}

TEST_F(GpuTimer, TheFlushEmptiesTheCache) {
  // A copy of a quarter of the L2 cache: from the cache when hot, from memory when cold.
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "L2 cache size");
  bytes = bytes / 8 / 256 * 256;
  const DeviceBuffer from(bytes), to(bytes);
  const auto copy = [&] { check(copy_buffer(from.data(), to.data(), bytes, gpu_->cuda_stream()), "copy_buffer"); };
  const auto cold = gpu_->sampler(Clock::cold, copy), hot = gpu_->sampler(Clock::hot, copy);
  EXPECT_GT(median_of(*cold), 1.15 * median_of(*hot));
}

TEST_F(GpuTimer, ALaunchIsHiddenEvenWhereTheHostIsSlow) {
  // 200 us of host work before a launch of 50 us: the delay must cover it.
  const auto slow_launch = [this, wait = waiting(50e-6)] {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    wait();
  };
  const auto cold = gpu_->sampler(Clock::cold, slow_launch);
  EXPECT_LT(median_of(*cold), 60e-6);
  EXPECT_FALSE(cold->host_bound());
}

TEST_F(GpuTimer, ARowThatSynchronisesIsHostBound) {
  const auto synchronising = [this, wait = waiting(50e-6)] {
    wait();
    gpu_->synchronize();
    wait();
  };
  const auto cold = gpu_->sampler(Clock::cold, synchronising);
  median_of(*cold);
  EXPECT_TRUE(cold->host_bound());
}

TEST_F(GpuTimer, AFailedCaptureIsSaidAndLeavesTheStreamUsable) {
  const auto synchronising = [this] { gpu_->synchronize(); };
  EXPECT_THROW(gpu_->sampler(Clock::graph, synchronising), CannotTime);
  const auto sampler = gpu_->sampler(Clock::hot, waiting(50e-6));
  EXPECT_GT(median_of(*sampler, 9), 49e-6);
}

TEST_F(GpuTimer, CeilingsRepeat) {
  const Ceilings first = gpu_->ceilings(), second = gpu_->ceilings();
  EXPECT_GT(first.copy_gb_s, 50);
  EXPECT_GT(first.fma_gflop_s, 1000);
  EXPECT_NEAR(first.copy_gb_s, second.copy_gb_s, 0.03 * first.copy_gb_s);
  EXPECT_NEAR(first.fma_gflop_s, second.fma_gflop_s, 0.03 * first.fma_gflop_s);
}

TEST_F(GpuTimer, TheEnvironmentNamesTheCard) {
  Json environment;
  gpu_->describe(environment);
  EXPECT_FALSE(environment.at("device_name").get<std::string>().empty());
  EXPECT_FALSE(environment.at("cuda").get<std::string>().empty());
  EXPECT_GT(environment.at("sm_clock_mhz").get<double>(), 0);
}

}  // namespace
}  // namespace ssim::bench
