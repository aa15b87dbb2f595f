// SPDX-License-Identifier: MIT
#include "cpu_timer.hpp"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

namespace ssim::bench {
namespace {

// The steady clock's own cost, some 25 ns a reading, is then below 0.03 % of a sample.
constexpr double kSampleSeconds = 200e-6;
// Idle threads of another row's pool spin for about a millisecond before they sleep.
constexpr double kWarmUpSeconds = 2e-3;
// A longer call leaves nothing of another row in the caches that it would not itself evict.
constexpr double kLongCall = 20e-3;

class CpuSampler final : public Sampler {
 public:
  CpuSampler(std::function<void()> call, double estimate) : call_(std::move(call)), estimate_(estimate) {}

  void warm_up() override {
    if (estimate_ > kLongCall) return;
    const double begin = steady_seconds();
    double fastest = std::numeric_limits<double>::infinity();
    double last = begin;
    do {
      call_();
      const double now = steady_seconds();
      fastest = std::min(fastest, now - last);
      last = now;
    } while (last - begin < kWarmUpSeconds);
    // Fixed at the first warm-up: the samples of a row should all be of one kind.
    if (calls_ == 0) calls_ = std::max(1, static_cast<int>(std::ceil(kSampleSeconds / fastest)));
  }

  Sample sample() override {
    const int calls = std::max(1, calls_);
    const double begin = steady_seconds();
    for (int i = 0; i < calls; ++i) call_();
    return {.seconds = (steady_seconds() - begin) / calls};
  }

 private:
  std::function<void()> call_;
  double estimate_;
  int calls_ = 0;
};

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::unique_ptr<Sampler> cpu_sampler(std::function<void()> call, double estimate) {
  return std::make_unique<CpuSampler>(std::move(call), estimate);
}

void keep_pages() {
  mallopt(M_MMAP_MAX, 0);         // no mapping of its own for a large block
  mallopt(M_TRIM_THRESHOLD, -1);  // never give the heap's top back
  mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace ssim::bench
