// SPDX-License-Identifier: MIT
// What a warp of a tensor-core kernel does again in plain fp32, because fp16 cannot hold it: pixels beyond the range of
// the operands, fields beyond 65504, NaN, or images so dark that fp16 rounds them.
//
// Row streaming in the sum/difference basis by one warp alone: a lane owns a column, vertical sums are pending in
// registers, a row of pixels passes through a few hundred bytes of shared memory. 3 to 8 times the time of the tensor
// cores, for those columns and rows alone; nothing where nothing is out of range.
#pragma once

#include "../pixel.hpp"
#include "../window.hpp"
#include "primitives_tensor.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::fallback {

/// The images and the constants of the formula.
struct Images {
  const float *x, *y;
  int width, height;
  int margin;  // positions nearer to the edge do not count
  float c1, c2;

  __device__ __forceinline__ bool counts(int row, int column) const {
    return row >= margin && row < height - margin && column >= margin && column < width - margin;
  }
};

/// Rows from `first` up to `end` of 32 columns from `column` on.
struct Region {
  int plane, column, first, end;
};

inline constexpr int kGradientHalo = 2 * kHalo;  // of pixels around a gradient

/// A warp's shared memory.
struct Buffer {
  float s[32 + 2 * kGradientHalo], d[32 + 2 * kGradientHalo];
  float fields[3][32 + 2 * kHalo];
};

/// A vertical convolution row by row: push() returns the sum around the row before the last five.
struct Column {
  float pending[kWindow - 1] = {};

  __device__ __forceinline__ float push(float value) {
    const float done = fma(tap(kWindow - 1), value, pending[0]);
    for (int i = 0; i + 1 < kWindow - 1; ++i) pending[i] = fma(tap(kWindow - 2 - i), value, pending[i + 1]);
    pending[kWindow - 2] = tap(0) * value;
    return done;
  }
};

/// The four statistics of a column.
struct Statistics {
  Column s, d, ss, dd;

  /// Takes the row whose pixels begin at `at` of the buffer; gives 1 - SSIM and the fields five rows above.
  __device__ __forceinline__ SumDifference<float> push(const Buffer& buffer, int at, const Images& images) {
    float ms = 0, md = 0, ess = 0, edd = 0;
    for (int i = 0; i < kWindow; ++i) {
      const float s_pixel = buffer.s[at + i], d_pixel = buffer.d[at + i];
      const float ws = tap(i) * s_pixel, wd = tap(i) * d_pixel;
      ms += ws;
      md += wd;
      ess = fma(ws, s_pixel, ess);
      edd = fma(wd, d_pixel, edd);
    }
    // One after the other: the order of evaluation of arguments is not fixed.
    ms = s.push(ms);
    md = d.push(md);
    ess = ss.push(ess);
    edd = dd.push(edd);
    return sum_difference(ms, md, ess, edd, images.c1, images.c2);
  }
};

/// s and d of a row of pixels into the buffer, zeros outside.
__device__ __forceinline__ void load_row(const Images& images, int plane, int row, int column, int count,
                                         Buffer& buffer) {
  sync_warp();  // the row before has been read
  for (int i = threadIdx.x % 32; i < count; i += 32) {
    const int at = column + i;
    float x = 0, y = 0;
    if (row >= 0 && row < images.height && at >= 0 && at < images.width) {
      const std::int64_t pixel = (static_cast<std::int64_t>(plane) * images.height + row) * images.width + at;
      x = load_readonly(images.x + pixel);
      y = load_readonly(images.y + pixel);
    }
    buffer.s[i] = x + y;
    buffer.d[i] = x - y;
  }
  sync_warp();
}

/// Sum of 1 - SSIM over the positions of the region's column of this lane that count. Whole warp.
__device__ __forceinline__ double value(const Images& images, const Region& region, Buffer& buffer) {
  const int lane = threadIdx.x % 32;
  Statistics statistics;
  double loss = 0;
#pragma unroll 1
  for (int row = region.first - kHalo; row < region.end + kHalo; ++row) {
    load_row(images, region.plane, row, region.column - kHalo, 32 + 2 * kHalo, buffer);
    const SumDifference<float> result = statistics.push(buffer, lane, images);
    const int out = row - kHalo;
    if (out >= region.first && images.counts(out, region.column + lane)) loss += static_cast<double>(result.loss);
  }
  return loss;
}

/// Writes unit * (the sum of SSIM's derivatives by x) for the region's first `columns` columns. Whole warp.
__device__ __forceinline__ void gradient(const Images& images, const Region& region, float unit, float* grad_x,
                                         int columns, Buffer& buffer) {
  const int lane = threadIdx.x % 32, column = region.column + lane;
  constexpr int kFields = 32 + 2 * kHalo;
  Statistics statistics[2];  // of field columns lane and, for the first ten lanes, lane + 32
  Column fields[3];
#pragma unroll 1
  for (int row = region.first - kGradientHalo; row < region.end + kGradientHalo; ++row) {
    load_row(images, region.plane, row, region.column - kGradientHalo, 32 + 2 * kGradientHalo, buffer);
    const int field_row = row - kHalo;
    for (int i = 0; i < 2; ++i) {
      const int field = lane + 32 * i;
      // Lanes without a second column take the first once more, and leave it.
      const SumDifference<float> result = statistics[i].push(buffer, field < kFields ? field : lane, images);
      if (field >= kFields) continue;
      const bool counts = field_row >= region.first - kHalo && images.counts(field_row, region.column - kHalo + field);
      buffer.fields[0][field] = counts ? result.p : 0;
      buffer.fields[1][field] = counts ? result.q : 0;
      buffer.fields[2][field] = counts ? result.r : 0;
    }
    sync_warp();
    float sums[3] = {};
    for (int i = 0; i < kWindow; ++i) {
      for (int field = 0; field < 3; ++field) {
        sums[field] = fma(tap(i), buffer.fields[field][lane + i], sums[field]);
      }
    }
    for (int field = 0; field < 3; ++field) sums[field] = fields[field].push(sums[field]);
    const int out = row - kGradientHalo;
    if (out >= region.first && lane < columns && column < images.width) {
      const std::int64_t pixel =
          (static_cast<std::int64_t>(region.plane) * images.height + out) * images.width + column;
      const float x = load_readonly(images.x + pixel), y = load_readonly(images.y + pixel);
      grad_x[pixel] = unit * fma(2 * (x - y), sums[1], fma(2 * (x + y), sums[2], sums[0]));
    }
  }
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::fallback
