// SPDX-License-Identifier: MIT
// --calibrate: how far the clocks themselves can be trusted on this machine.
#pragma once

#include <functional>

#include "gpu.hpp"

namespace ssim::bench {

/// The fields of a `calibration` record (README.md). `seconds`: of watching for drift. Shows its progress on stderr.
/// Returns what there is when a stop is requested.
Json calibrate(Device device, int threads, std::uint64_t seed, Gpu* gpu, double seconds,
               const std::function<bool()>& stop_requested);

}  // namespace ssim::bench
