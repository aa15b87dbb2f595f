// SPDX-License-Identifier: MIT
// Idea: LibTorch tells a profiler about every block; here the profiler is a counter that lives for one call. Autograd
// hands it on to its threads. The first backward function that begins marks what training keeps from the forward.
#include "memory_meter.hpp"

#if SSIM_WITH_TORCH
#include <ATen/record_function.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include "kernels/torch/switches.hpp"
#endif

namespace ssim::baselines {

#if SSIM_WITH_TORCH

namespace {

class Counter final : public c10::MemoryReportingInfoBase {
 public:
  explicit Counter(const void* output) : output_(output) {}
  void reportMemoryUsage(void* block, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
    const std::lock_guard lock(mutex_);
    if (output_ && block == output_) {
      held_output_ += bytes;
      return;
    }
    held_ += bytes;
    use_.peak = std::max(use_.peak, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  void backward_begins() {
    const std::lock_guard lock(mutex_);
    if (begun_) return;
    begun_ = true;
    use_.kept = held_ + held_output_;
  }
  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }

 private:
  const void* output_;
  std::mutex mutex_;
  std::int64_t held_ = 0, held_output_ = 0;
  bool begun_ = false;
  MemoryUse use_;
};

std::unique_ptr<at::ObserverContext> tell_counter(const at::RecordFunction&) {
  auto* const counter = dynamic_cast<Counter*>(c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE));
  if (counter) counter->backward_begins();
  return nullptr;
}

}  // namespace

MemoryUse count_memory(const std::function<void()>& call, const void* output) {
  op::drop_workspaces();
  const auto counter = std::make_shared<Counter>(output);
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  const auto handle =
      at::addGlobalCallback(at::RecordFunctionCallback(tell_counter).scopes({at::RecordScope::BACKWARD_FUNCTION}));
  try {
    call();
  } catch (...) {
    at::removeCallback(handle);
    throw;
  }
  at::removeCallback(handle);
  return counter->use();
}

#else

MemoryUse count_memory(const std::function<void()>& call, const void*) {
  call();
  return {};
}

#endif

}  // namespace ssim::baselines
