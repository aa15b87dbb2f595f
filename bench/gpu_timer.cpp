// SPDX-License-Identifier: MIT
// The GPU's four clocks.
//
// cold:  flush L2, delay, event, call, event. What a step of a larger program pays: caches hold something else.
// hot:   delay, event, calls back to back for at least 200 us, event; over their number.
// graph: the same number of calls captured into one CUDA graph and replayed; no launch cost of the host at all.
// wall:  host clock around one call and its synchronisation; what a training loop pays.
//
// In cold and hot the launches are hidden behind a delay kernel of at least twice the measured enqueue time. Whether
// they really were is checked for every sample: if the device waited for the host, the sample is repeated with a longer
// delay, up to a bound; beyond it the row is marked host-bound and should be quoted by its wall clock.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu_timer.hpp"
#include "gpu_device.hpp"

namespace ssim::bench {
namespace {

constexpr double kBatchSeconds = 200e-6;
constexpr double kLeastDelay = 30e-6;  // long enough to read the SM clock in it
constexpr double kMostDelay = 20e-3;
constexpr double kProbeSeconds = 20e-6;
constexpr int kMostCalls = 512;  // in a batch: the driver's queue of launches is finite
constexpr int kRetries = 4;      // of a sample that was not hidden

class GpuSampler : public Sampler {
 public:
  GpuSampler(GpuDevice& gpu, std::function<void()> call) : gpu_(gpu), call_(std::move(call)) {}

  void warm_up() override {
    run();
    gpu_.synchronize();
  }

  Sample sample() override {
    Sample sample;
    sample.seconds = seconds();
    sample.sm_mhz = gpu_.mhz(1);
    sample.discarded = gpu_.throttled(sample.sm_mhz);
    if (sample.discarded) {  // busy, not asleep: an idle card lowers its clock further
      gpu_.enqueue_delay(2e-3, 0);
      gpu_.synchronize();
    }
    return sample;
  }

  bool host_bound() const override { return host_bound_; }

 protected:
  virtual void run() { call_(); }
  virtual double seconds() = 0;

  // Enqueues the probe of the SM clock behind the operation and waits for all.
  void finish() {
    gpu_.enqueue_delay(kProbeSeconds, 1);
    gpu_.synchronize();
  }

  // Host seconds that a call takes to be enqueued. A row that synchronises shows as one that takes as long as it runs.
  double enqueue_seconds() {
    double fastest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 5; ++i) {
      const double begin = steady_seconds();
      call_();
      fastest = std::min(fastest, steady_seconds() - begin);
      gpu_.synchronize();
    }
    return fastest;
  }

  // How many calls make a batch of at least kBatchSeconds, by the device's clock.
  int batch_size() {
    const double lead = std::min(kMostDelay, kLeastDelay + 4 * enqueue_seconds());
    double fastest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 3; ++i) {
      gpu_.enqueue_delay(lead, 0);
      begin_.record(gpu_.cuda_stream());
      call_();
      call_();
      end_.record(gpu_.cuda_stream());
      gpu_.synchronize();
      fastest = std::min(fastest, end_.since(begin_) / 2);
    }
    // A tenth more than is needed: the estimate is one of the fastest calls.
    return std::clamp(static_cast<int>(std::ceil(1.1 * kBatchSeconds / std::max(fastest, 1e-7))), 1, kMostCalls);
  }

  // Whether a sample is to be taken again behind a longer delay, because the device saw the host still enqueueing. If
  // not, it counts.
  bool again(bool exposed, bool may_wait, int attempt) {
    if (exposed && may_wait && !host_bound_ && delay_ < kMostDelay && attempt < kRetries) {
      delay_ = std::min(2 * delay_, kMostDelay);
      return true;
    }
    ++samples_;
    if (exposed) ++exposed_;
    // One sample in ten may be the operating system's doing.
    host_bound_ = exposed_ > 3 && 10 * exposed_ > samples_;
    return false;
  }

  GpuDevice& gpu_;
  std::function<void()> call_;
  Event begin_, end_;
  bool host_bound_ = false;
  double delay_ = kLeastDelay;

 private:
  long samples_ = 0, exposed_ = 0;
};

// cold and hot: `calls_` calls behind a delay, with or without a flush.
class EventSampler final : public GpuSampler {
 public:
  EventSampler(GpuDevice& gpu, std::function<void()> call, bool cold, Gpu::ColdMethod method = {})
      : GpuSampler(gpu, std::move(call)), cold_(cold), method_(method) {
    warm_up();
    calls_ = cold ? 1 : batch_size();
    delay_ = std::clamp(2 * method.delay * calls_ * enqueue_seconds(), kLeastDelay, kMostDelay);
  }

 private:
  double seconds() override {
    for (int attempt = 0;; ++attempt) {
      if (cold_) gpu_.flush_l2(method_.flush_by_write, method_.flush_by_read);
      if (method_.delay > 0) gpu_.enqueue_delay(delay_, 0);
      begin_.record(gpu_.cuda_stream());
      const double enqueueing = steady_seconds();
      for (int i = 0; i < calls_; ++i) call_();
      const double enqueued = steady_seconds() - enqueueing;
      end_.record(gpu_.cuda_stream());
      bool exposed = begin_.passed();
      finish();
      // Of a batch the device may have begun; it must not have run out of calls before the last one came.
      if (calls_ > 1) exposed = enqueued > delay_ + end_.since(begin_) * (calls_ - 1) / calls_;
      if (again(exposed, method_.delay > 0, attempt)) continue;
      if (host_bound_) delay_ = kLeastDelay;  // waiting longer would not help
      return end_.since(begin_) / calls_;
    }
  }

  bool cold_;
  Gpu::ColdMethod method_;
  int calls_ = 1;
};

class GraphSampler final : public GpuSampler {
 public:
  GraphSampler(GpuDevice& gpu, std::function<void()> call) : GpuSampler(gpu, std::move(call)) {
    delay_ = 2 * kLeastDelay;
    calls_ = batch_size();
    const cudaStream_t stream = gpu_.cuda_stream();
    cudaGraph_t graph = nullptr;
    std::string failure;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      for (int i = 0; i < calls_; ++i) call_();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (failure.empty() && ended != cudaSuccess) failure = cudaGetErrorString(ended);
    if (failure.empty()) {
      const cudaError_t made = cudaGraphInstantiate(&executable_, graph, 0);
      if (made != cudaSuccess) failure = cudaGetErrorString(made);
    }
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    if (!failure.empty()) throw CannotTime("its capture into a CUDA graph failed: " + failure);
    check(cudaGraphUpload(executable_, stream), "cudaGraphUpload");
    warm_up();
  }
  ~GraphSampler() override {
    if (executable_) cudaGraphExecDestroy(executable_);
  }

 private:
  // Until there is a graph, warming up is done with plain calls.
  void run() override {
    if (executable_) {
      check(cudaGraphLaunch(executable_, gpu_.cuda_stream()), "cudaGraphLaunch");
    } else {
      call_();
    }
  }
  double seconds() override {
    for (int attempt = 0;; ++attempt) {
      gpu_.enqueue_delay(delay_, 0);
      begin_.record(gpu_.cuda_stream());
      run();
      end_.record(gpu_.cuda_stream());
      const bool exposed = begin_.passed();
      finish();
      if (again(exposed, true, attempt)) continue;  // a graph of many nodes is enqueued for longer
      return end_.since(begin_) / calls_;
    }
  }

  cudaGraphExec_t executable_ = nullptr;
  int calls_ = 1;
};

class WallSampler final : public GpuSampler {
 public:
  using GpuSampler::GpuSampler;

 private:
  double seconds() override {
    const double begin = steady_seconds();
    run();
    gpu_.synchronize();
    const double seconds = steady_seconds() - begin;
    finish();
    return seconds;
  }
};

}  // namespace

std::unique_ptr<Sampler> GpuDevice::cold_sampler(const ColdMethod& method, std::function<void()> call) {
  return std::make_unique<EventSampler>(*this, std::move(call), true, method);
}

std::unique_ptr<Sampler> GpuDevice::sampler(Clock clock, std::function<void()> call) {
  switch (clock) {
    case Clock::cold: return std::make_unique<EventSampler>(*this, std::move(call), true);
    case Clock::hot: return std::make_unique<EventSampler>(*this, std::move(call), false);
    case Clock::graph: return std::make_unique<GraphSampler>(*this, std::move(call));
    case Clock::wall: return std::make_unique<WallSampler>(*this, std::move(call));
  }
  return nullptr;
}

}  // namespace ssim::bench
