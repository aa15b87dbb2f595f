// SPDX-License-Identifier: MIT
#include "gpu_device.hpp"

#include <cuda_profiler_api.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cpu_timer.hpp"
#include "verify/card.hpp"

namespace ssim::bench {
namespace {

constexpr double kSteadySeconds = 0.05, kSteadyMost = 2.0;  // at least, at most
constexpr double kProbeSeconds = 40e-6;
constexpr int kFmaSteps = 4096, kTensorSteps = 4096;

}  // namespace

void check(cudaError_t error, const char* operation) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // where it is not sticky, the next call shall not see it
  throw std::runtime_error(std::string(operation) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) +
                           ")");
}

GpuDevice::GpuDevice() {
  int device = 0, l2_bytes = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&l2_bytes, cudaDevAttrL2CacheSize, device), "L2 cache size");
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device), "multiprocessor count");
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudaHostAlloc(reinterpret_cast<void**>(&readings_), 2 * sizeof(ClockReading), cudaHostAllocMapped),
        "cudaHostAlloc");
  readings_[0] = readings_[1] = {};
  const std::int64_t flush = std::max<std::int64_t>(std::int64_t{5} * l2_bytes / 2, 32 << 20) / 256 * 256;
  write_ = std::make_unique<DeviceBuffer>(flush);
  read_ = std::make_unique<DeviceBuffer>(flush);
  sink_ = std::make_unique<DeviceBuffer>(256);
  check(cudaMemsetAsync(read_->data(), 1, static_cast<std::size_t>(flush), stream_), "cudaMemset");
  synchronize();
}

GpuDevice::~GpuDevice() {
  cudaStreamDestroy(stream_);
  cudaFreeHost(readings_);
}

void GpuDevice::flush_l2(bool by_write, bool by_read) {
  if (by_write) check(write_buffer(write_->data(), write_->bytes(), stream_), "write_buffer");
  if (!by_read) return;
  check(read_buffer(read_->data(), read_->bytes(), static_cast<unsigned*>(sink_->data()), stream_), "read_buffer");
}

void GpuDevice::enqueue_delay(double seconds, int slot) {
  check(delay(static_cast<std::int64_t>(1e9 * seconds), &readings_[slot], stream_), "delay");
}

void GpuDevice::enqueue_spin(double seconds) {
  check(spin(static_cast<std::int64_t>(1e6 * steady_mhz_ * std::max(0.0, seconds)), stream_), "spin");
}

double GpuDevice::event_seconds(double spin_seconds) {
  Event begin, end;
  enqueue_delay(kProbeSeconds, 0);
  begin.record(stream_);
  if (spin_seconds >= 0) enqueue_spin(spin_seconds);
  end.record(stream_);
  synchronize();
  return end.since(begin);
}

double GpuDevice::warm_to_steady() {
  std::vector<double> last;
  const double begin = steady_seconds();
  for (;;) {
    check(fma_chains(multiprocessors_ * 8, kFmaSteps * 8, static_cast<float*>(sink_->data()), stream_), "fma_chains");
    enqueue_delay(kProbeSeconds, 1);
    synchronize();
    last.push_back(mhz(1));
    const double seconds = steady_seconds() - begin;
    if (last.size() > 8) last.erase(last.begin());
    const auto [low, high] = std::minmax_element(last.begin(), last.end());
    if (seconds > kSteadyMost || (seconds > kSteadySeconds && last.size() == 8 && *high - *low < 0.02 * *high)) break;
  }
  steady_mhz_ = median(last);
  return steady_mhz_;
}

Ceilings GpuDevice::ceilings() {
  constexpr std::int64_t kCopyBytes = std::int64_t{512} << 20;
  Event begin, end;
  Ceilings result;
  const auto seconds = [&](const auto& enqueue) {
    begin.record(stream_);
    enqueue();
    end.record(stream_);
    end.wait();
    return end.since(begin);
  };
  {
    const DeviceBuffer from(kCopyBytes), to(kCopyBytes);
    check(cudaMemsetAsync(from.data(), 1, kCopyBytes, stream_), "cudaMemset");
    for (int i = 0; i < 12; ++i) {  // a kernel's copy and the driver's, whichever is faster
      const double by_kernel =
          seconds([&] { check(copy_buffer(from.data(), to.data(), kCopyBytes, stream_), "copy_buffer"); });
      const double by_driver = seconds([&] {
        check(cudaMemcpyAsync(to.data(), from.data(), kCopyBytes, cudaMemcpyDeviceToDevice, stream_), "cudaMemcpy");
      });
      if (i < 2) continue;
      result.copy_gb_s = std::max(result.copy_gb_s, 2e-9 * kCopyBytes / std::min(by_kernel, by_driver));
    }
  }
  const int blocks = multiprocessors_ * 16;
  for (int i = 0; i < 12; ++i) {
    const double time = seconds(
        [&] { check(fma_chains(blocks, kFmaSteps * 4, static_cast<float*>(sink_->data()), stream_), "fma_chains"); });
    if (i < 2) continue;
    const double flops = 2.0 * blocks * kFmaThreads * kFmaChains * kFmaSteps * 4;
    result.fma_gflop_s = std::max(result.fma_gflop_s, 1e-9 * flops / time);
  }
  const int tensor_blocks = multiprocessors_ * 8;
  for (int i = 0; i < 12; ++i) {
    const double time = seconds([&] {
      check(tensor_chains(tensor_blocks, kTensorSteps, static_cast<float*>(sink_->data()), stream_), "tensor_chains");
    });
    if (i < 2) continue;
    const double flops = kTensorFlops * tensor_blocks * (kTensorThreads / 32) * kTensorChains * kTensorSteps;
    result.tensor_gflop_s = std::max(result.tensor_gflop_s, 1e-9 * flops / time);
  }
  return result;
}

void GpuDevice::describe(Json& environment) const {
  verify::describe_card(environment);
  environment["sm_clock_mhz"] = steady_mhz_ > 0 ? Json(steady_mhz_) : Json();
}

void GpuDevice::profile(bool on) {
  synchronize();
  check(on ? cudaProfilerStart() : cudaProfilerStop(), on ? "cudaProfilerStart" : "cudaProfilerStop");
}

std::unique_ptr<Gpu> make_gpu() { return std::make_unique<GpuDevice>(); }

std::string refuse_device_build() { return device_debug_build() ? "device code was compiled with -G" : ""; }

}  // namespace ssim::bench
