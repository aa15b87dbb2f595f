// SPDX-License-Identifier: MIT
// --profile: what a profiler should see. One verified warm-up, then one call of the row (or --calls) in an NVTX range
// `row:problem:profile` of the domain `ssim`, between cudaProfilerStart and cudaProfilerStop. No flush, no delay, and
// no time is printed: under a profiler it would mean nothing.
#pragma once

#include "gpu.hpp"
#include "options.hpp"

namespace ssim::bench {

/// Exit status: 0, or 1 where a row is wrong. Throws Misuse for a row that there is not.
int run_profile(const Options& options, Device device, int threads, Gpu* gpu);

}  // namespace ssim::bench
