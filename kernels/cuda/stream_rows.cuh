// SPDX-License-Identifier: MIT
// What value and gradient of the row `stream` have in common: how the work is cut, and the convolution of a row.
//
// A convolution may be scaled as one likes, so each direction is scaled to have one tap that is 1 and costs nothing:
// along the row the middle one (the sum begins with that pixel), down the columns the outer ones (a pending sum begins
// as the new row's value itself, and a finished one needs an addition). 10 operations a direction instead of 11; the
// scale, kScale, goes into the constants of the formula.
#pragma once

#include "../implementation.hpp"
#include "../pixel.hpp"
#include "../window.hpp"
#include "block_mean.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kWarpColumns = 128;  // four a lane

/// The images and how their rows are numbered in one line: plane by plane, strip by strip, row by row.
struct Work {
  const float *x, *y;
  std::int64_t plane_size, lines;  // lines: all rows of that line
  int piece;                       // how many of them a worker takes
  int height, width, margin;       // positions closer than margin to the edge do not count
  int strip, strips, rows, pitch;  // columns of a strip, strips of a plane, rows of a strip and from strip to strip
  int first_row, first_column;     // of the first strip
  float most;                      // that a pivot may be: four times the range of the data, or 0
};

/// A worker's next run of rows in one strip.
struct Run {
  std::int64_t offset;        // of the plane
  const float *x, *y;         // the plane
  int left, right, top, end;  // columns and rows of the result
};

/// a / b, both from 0. Longer lines than 2^32 take bit after bit: nvcc's own division is a call, for which it would
/// spill registers.
__device__ inline std::int64_t divide(std::int64_t a, int b) {
  if (a >> 32 == 0) return static_cast<unsigned>(a) / static_cast<unsigned>(b);
  std::int64_t quotient = 0, rest = 0;
#pragma unroll 1
  for (int bit = 62; bit >= 0; --bit) {
    rest = 2 * rest + (a >> bit & 1);
    if (rest < b) continue;
    rest -= b;
    quotient |= std::int64_t{1} << bit;
  }
  return quotient;
}

/// The next run of a worker's piece, of which `done` lines have been handed out. False at the end.
__device__ inline bool next_run(const Work& work, std::int64_t worker, int& done, Run& run) {
  const std::int64_t line = worker * work.piece + done;
  if (done >= work.piece || line >= work.lines) return false;
  const std::int64_t column = divide(line, work.pitch);  // strip of a plane
  const std::int64_t plane = divide(column, work.strips);
  const int row = static_cast<int>(line - column * work.pitch);
  const int lines = work.piece - done < work.pitch - row ? work.piece - done : work.pitch - row;
  const int end = row + lines < work.rows ? row + lines : work.rows;
  run.offset = plane * work.plane_size;
  run.x = work.x + run.offset;
  run.y = work.y + run.offset;
  run.left = work.first_column + static_cast<int>(column - plane * work.strips) * work.strip;
  const int limit = work.width - work.first_row;
  run.right = work.strip < limit - run.left ? run.left + work.strip : limit;
  run.top = work.first_row + row;
  run.end = work.first_row + end;
  done += lines;
  return true;
}

template <int kSize>
struct alignas(4 * kSize) Vector {
  float v[kSize];
};

consteval float over(int k, int one) { return static_cast<float>(kTaps[k] / kTaps[one]); }

/// Taps along the row over the middle one, down the columns over the outer ones.
SSIM_HOST_DEVICE constexpr float along(int k) {
  constexpr float taps[6] = {over(0, 5), over(1, 5), over(2, 5), over(3, 5), over(4, 5), 1};
  return taps[k < 5 ? k : 10 - k];
}
SSIM_HOST_DEVICE constexpr float down(int k) {
  constexpr float taps[6] = {1, over(1, 0), over(2, 0), over(3, 0), over(4, 0), over(5, 0)};
  return taps[k < 5 ? k : 10 - k];
}

/// What a scaled convolution is too large by.
constexpr double scale() {
  double sum_along = 0, sum_down = 0;
  for (int k = 0; k < kWindow; ++k) {
    sum_along += static_cast<double>(along(k));
    sum_down += static_cast<double>(down(k));
  }
  return sum_along * sum_down;
}
inline constexpr double kScale = scale();

/// Values of the columns from (own first column) - roundup(5, kColumns) on; `from` is aligned to kColumns floats.
template <int kColumns>
struct Window {
  static constexpr int kBefore = (kHalo + kColumns - 1) / kColumns * kColumns;
  static constexpr int kVectors = 1 + 2 * kBefore / kColumns;
  float v[kVectors * kColumns];

  __device__ void load(const float* from) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const auto part = reinterpret_cast<const Vector<kColumns>*>(from)[i];
#pragma unroll
      for (int k = 0; k < kColumns; ++k) v[i * kColumns + k] = part.v[k];
    }
  }
  __device__ void square() {
#pragma unroll
    for (int i = kBefore - kHalo; i < kBefore + kColumns + kHalo; ++i) v[i] *= v[i];
  }
};

/// Convolves along the row for each column, pushes the result into the column's pending sums, gives the finished ones.
/// The last pending sum is the row itself: a loop should be unrolled by two, or it is copied.
template <int kColumns>
__device__ __forceinline__ void push(const Window<kColumns>& window, float (&pending)[kColumns][10],
                                     float (&out)[kColumns]) {
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const float* v = window.v + Window<kColumns>::kBefore + c;
    float h = v[0];
#pragma unroll
    for (int k = 0; k < kWindow; ++k) {
      if (k != kHalo) h = fma(along(k), v[k - kHalo], h);
    }
    float(&a)[10] = pending[c];
    out[c] = h + a[0];
#pragma unroll
    for (int j = 0; j < 9; ++j) a[j] = fma(down(9 - j), h, a[j + 1]);
    a[9] = h;
  }
}

template <int kFields, int kColumns>
__device__ __forceinline__ void clear(float (&pending)[kFields][kColumns][10]) {
#pragma unroll
  for (int f = 0; f < kFields; ++f) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
#pragma unroll
      for (int j = 0; j < 10; ++j) pending[f][c][j] = 0;
    }
  }
}

/// About the mean of s in a plane, the same for every worker; four pixels' will do. On bright flat images it makes the
/// gradient's error 100 times smaller. 0 where that is no number, or far beyond the range of the data: one bright pixel
/// among the four would cost all others their digits.
__device__ inline float find_pivot(const Work& work, const Run& run) {
  if (work.height < kWindow || work.width < kWindow) return 0;  // the zeros around weigh more than the image
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = work.height / 4 * (i / 2 * 2 + 1), column = work.width / 4 * (i % 2 * 2 + 1);
    const std::int64_t at = static_cast<std::int64_t>(row) * work.width + column;
    sum += load_readonly(run.x + at) + load_readonly(run.y + at);
  }
  const float pivot = 0.25f * sum;
  return pivot > -work.most && pivot < work.most ? pivot : 0.0f;
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
