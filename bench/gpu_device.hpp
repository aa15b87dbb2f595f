// SPDX-License-Identifier: MIT
// What the GPU's clocks share: stream, flush buffers, events, clock readings. Needs the CUDA runtime's header.
#pragma once

#include <string>

#include "gpu.hpp"
#include "gpu_kernels.hpp"

namespace ssim::bench {

/// Throws std::runtime_error naming the operation unless the runtime was content.
void check(cudaError_t error, const char* operation);

/// RAII around an event with timing.
class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "cudaEventRecord"); }
  void wait() { check(cudaEventSynchronize(event_), "cudaEventSynchronize"); }
  bool passed() {
    const cudaError_t error = cudaEventQuery(event_);
    if (error == cudaErrorNotReady) return false;
    check(error, "cudaEventQuery");
    return true;
  }
  /// Seconds from an earlier event to this one; both must have passed.
  double since(const Event& begin) const {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin.event_, event_), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Device memory without guard bands, for the bench's own buffers.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::int64_t bytes) : bytes_(bytes) {
    check(cudaMalloc(&data_, static_cast<std::size_t>(bytes)), "cudaMalloc");
  }
  ~DeviceBuffer() { cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::int64_t bytes_;
};

class GpuDevice final : public Gpu {
 public:
  GpuDevice();
  ~GpuDevice() override;
  void* stream() const override { return stream_; }
  cudaStream_t cuda_stream() const { return stream_; }
  double warm_to_steady() override;
  Ceilings ceilings() override;
  std::unique_ptr<Sampler> sampler(Clock clock, std::function<void()> call) override;
  std::unique_ptr<Sampler> cold_sampler(const ColdMethod& method, std::function<void()> call) override;
  void enqueue_spin(double seconds) override;
  double event_seconds(double spin) override;
  void synchronize() override { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }
  void describe(Json& environment) const override;
  void profile(bool on) override;

  /// Writes and reads more than the L2 cache holds.
  void flush_l2(bool by_write = true, bool by_read = true);
  /// Enqueues a delay whose clock reading goes to slot 0 (before an operation) or 1 (after it).
  void enqueue_delay(double seconds, int slot);
  /// MHz that the delay of the slot saw; after synchronisation.
  double mhz(int slot) const { return readings_[slot].mhz(); }
  /// Below 75 % of the steady clock.
  bool throttled(double mhz) const { return mhz > 0 && mhz < 0.75 * steady_mhz_; }

 private:
  cudaStream_t stream_ = nullptr;
  ClockReading* readings_ = nullptr;  // pinned, read by the host and written by the device
  std::unique_ptr<DeviceBuffer> write_, read_, sink_;
  double steady_mhz_ = 0;
  int multiprocessors_ = 1;
};

}  // namespace ssim::bench
