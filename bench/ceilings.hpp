// SPDX-License-Identifier: MIT
// What the machine can do at most, measured in the same run: copy bandwidth and the rates of fp32 multiply-adds and of
// products on tensor cores.
#pragma once

namespace ssim::bench {

struct Ceilings {
  double copy_gb_s = 0;       // 1e9 bytes a second, read plus written
  double fma_gflop_s = 0;     // 1e9 floating-point operations a second; an FMA counts two
  double tensor_gflop_s = 0;  // of fp16 products with fp32 sums, by mma.m16n8k16; 0 where there are no tensor cores
};

/// With this many threads. Takes about half a second.
Ceilings cpu_ceilings(int threads);

}  // namespace ssim::bench
