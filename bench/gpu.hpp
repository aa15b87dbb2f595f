// SPDX-License-Identifier: MIT
// The GPU's clocks behind a plain C++ interface: nothing of CUDA in here, so that the rest of bench/ compiles without.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "ceilings.hpp"
#include "key.hpp"
#include "scheduler.hpp"

namespace ssim::bench {

/// A row cannot be timed by a clock, e.g. its capture into a graph failed: reported under skipped.
struct CannotTime : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One GPU with its stream, flush buffers and events. Throws std::runtime_error where the runtime fails.
class Gpu {
 public:
  virtual ~Gpu() = default;
  /// The stream that rows are called on (cudaStream_t).
  virtual void* stream() const = 0;
  /// Runs until the SM clock no longer rises; returns it in MHz. Samples below 75 % of it are discarded.
  virtual double warm_to_steady() = 0;
  virtual Ceilings ceilings() = 0;
  /// `call` enqueues the row once on stream() and throws std::runtime_error where it fails. CannotTime if it cannot.
  virtual std::unique_ptr<Sampler> sampler(Clock clock, std::function<void()> call) = 0;
  /// A cold sampler with parts of its method left out or stretched, to learn what they do to a figure
  /// (calibration.cpp).
  struct ColdMethod {
    double delay = 1;  // times the usual delay; 0: none
    bool flush_by_write = true, flush_by_read = true;
  };
  virtual std::unique_ptr<Sampler> cold_sampler(const ColdMethod& method, std::function<void()> call) = 0;
  /// Enqueues a spin of this length, by the steady SM clock.
  virtual void enqueue_spin(double seconds) = 0;
  /// Seconds that the GPU's clock shows between two events with a spin of `spin` seconds between them; below 0: with
  /// nothing between them.
  virtual double event_seconds(double spin) = 0;
  /// Waits for the stream; throws with the runtime's message.
  virtual void synchronize() = 0;
  /// device_name, driver, cuda, power_limit_w, ecc, sm_clock_mhz, ... into the environment.
  virtual void describe(Json& environment) const = 0;
  /// cudaProfilerStart / cudaProfilerStop.
  virtual void profile(bool on) = 0;
};

/// The current device. Only where this build has CUDA and a device is there.
std::unique_ptr<Gpu> make_gpu();

/// "" unless device code was compiled with -G.
std::string refuse_device_build();

}  // namespace ssim::bench
