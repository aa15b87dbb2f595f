// SPDX-License-Identifier: MIT
// What the machine can do at most, measured in the same run: copy bandwidth and the rate of fp32 multiply-adds.
#pragma once

namespace ssim::bench {

struct Ceilings {
  double copy_gb_s = 0;    // 1e9 bytes a second, read plus written
  double fma_gflop_s = 0;  // 1e9 floating-point operations a second; an FMA counts two
};

/// With this many threads. Takes about half a second.
Ceilings cpu_ceilings(int threads);

}  // namespace ssim::bench
