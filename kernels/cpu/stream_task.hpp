// SPDX-License-Identifier: MIT
// What stream.cpp (partition, threads, choice of the instruction set) and stream_kernel.cpp (the arithmetic, compiled
// once per instruction set) share. Plain data only: an inline function here would be compiled with several sets of
// -m flags, and the linker would keep whichever it met first.
#pragma once

#include <cstdint>

#include "defect.hpp"

namespace ssim::cpu {

/// Rows of a band and columns of a step: 16 floats are a cache line and one AVX-512 register.
inline constexpr int kBlock = 16;

/// What all tasks of a call share.
struct Sweep {
  const float* x;
  const float* y;
  float* grad;         // nullptr: value alone
  std::int64_t width;  // of the images, and their row pitch
  std::int64_t height;
  std::int64_t margin;  // 5 for `valid`, else 0: positions nearer to the border do not count
  float c1, c2;
  float shrink;  // what the product of both denominators is scaled by, a power of two
  float scale;   // of the gradient: weight / counted positions
};

/// A rectangle of one plane. Its counted positions are summed and its gradient is written by one task alone.
struct Task {
  std::int64_t plane;
  std::int64_t row_begin, row_end;
  std::int64_t column_begin, column_end;  // column_begin is a multiple of kBlock
};

/// Floats of scratch memory for a task of so many columns: three fields, ten rows (train only).
constexpr std::int64_t ring_floats(std::int64_t columns) { return (columns + kBlock - 1) / kBlock * (3 * 10 * kBlock); }

/// Sum of 1 - SSIM over the task's counted positions; writes its gradient where sweep.grad is set. ring: 64-byte
/// aligned, ring_floats(columns) floats of anything; unused without a gradient.
using TaskFunction = double (*)(const Sweep& sweep, const Task& task, float* ring);

namespace portable {
double run_task(const Sweep& sweep, const Task& task, float* ring);
}
namespace avx2 {
double run_task(const Sweep& sweep, const Task& task, float* ring);
}
namespace avx512 {
double run_task(const Sweep& sweep, const Task& task, float* ring);
}

}  // namespace ssim::cpu
