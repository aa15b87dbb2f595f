// SPDX-License-Identifier: MIT
// stream (CUDA): the images on their way to s - pivot and d in shared memory.
//
// Rows come in pairs. A warp copies 128 columns of a pair, each lane its own four, asynchronously and one step ahead,
// and forms s and d of them a step later. The 16 columns beside the strip are done by half of the lanes of one of a
// strip's warps, for both rows at once.
#pragma once

#include "stream_rows.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kBeside = 8;  // columns on each side

/// What a warp has copied of a pair of rows.
struct Raw {
  float own[2][2][kWarpColumns];      // row, x or y
  float beside[2 * 2 * 2 * kBeside];  // x, then y; row, column
  float spare[2 * 2 * 2 * kBeside];   // where lanes write that have nothing to do: a branch would cost more
};

/// kVector: the image's rows are made of aligned vectors of four pixels, and a lane's own columns are 4 lane ..
/// 4 lane + 3; else they are lane + 32 i.
template <bool kVector>
class Feed {
 public:
  /// Rows from `row` on, zeros from `limit` on. `column` is the image's that belongs to column 0 of the block's own
  /// ones, of which there are `columns`; the warp does 128 from `own` on. `beside`: and those beside.
  __device__ __forceinline__ Feed(const Work& work, const Run& run, int row, int limit, int column, int columns,
                                  int own, bool beside, int lane)
      : row_(row),
        limit_(limit < work.height ? limit : work.height),
        width_(work.width),
        columns_(columns + 2 * kBeside) {
    in_raw_ = kVector ? 4 * lane : lane;
    to_own_ = kBeside + own + in_raw_;
    inside_ = 0;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int at = column + own + in_raw_ + 32 * i;
      inside_ |= static_cast<unsigned>(at >= 0 && at < width_) << i;
    }
    const std::int64_t at = static_cast<std::int64_t>(row) * width_ + column + own + in_raw_;
    x_ = run.x + at;
    y_ = run.y + at;
    // Vectors: lane is (x or y, and then d or s), row, vector. Else it is row, column, and does x and y, d and s.
    second_ = kVector && lane >= 8;
    beside_row_ = kVector ? lane / 4 % 2 : lane / 16;
    const int part = kVector ? lane % 4 * 4 : lane % 16;
    const int to = part < kBeside ? part : columns + part;
    to_beside_ = (beside_row_ * 2 + second_) * columns_ + to;
    const int from = column - kBeside + to;
    const std::int64_t beside_at = static_cast<std::int64_t>(row + beside_row_) * width_ + from;
    beside_x_ = (second_ ? run.y : run.x) + beside_at;
    beside_y_ = run.y + beside_at;
    beside_ = beside;
    active_ = beside && (!kVector || lane < 16);
    beside_inside_ = from >= 0 && from < width_;
    beside_raw_ = kVector ? 4 * (lane % 16) : lane;
  }

  /// Starts copying the next pair.
  __device__ __forceinline__ void copy(Raw& to) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const bool row_inside = static_cast<unsigned>(row_ + r) < static_cast<unsigned>(limit_);
      const std::int64_t from = r * static_cast<std::int64_t>(width_);
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const bool inside = row_inside && (inside_ >> i & 1);
        copy_async<kBytes>(&to.own[r][0][in_raw_ + 32 * i], x_ + from + 32 * i, inside);
        copy_async<kBytes>(&to.own[r][1][in_raw_ + 32 * i], y_ + from + 32 * i, inside);
      }
    }
    if (active_) {
      const bool inside = static_cast<unsigned>(row_ + beside_row_) < static_cast<unsigned>(limit_) && beside_inside_;
      copy_async<kBytes>(&to.beside[beside_raw_], beside_x_, inside);
      if (!kVector) copy_async<kBytes>(&to.beside[beside_raw_ + 4 * kBeside], beside_y_, inside);
    }
    copy_commit();
    row_ += 2;
    x_ += 2 * static_cast<std::int64_t>(width_);
    y_ += 2 * static_cast<std::int64_t>(width_);
    beside_x_ += 2 * static_cast<std::int64_t>(width_);
    beside_y_ += 2 * static_cast<std::int64_t>(width_);
  }

  /// Forms s and d of a pair whose copies all lanes have waited for. to: [row][s or d][columns + 2 kBeside].
  __device__ __forceinline__ void form(Raw& raw, float* to, float pivot) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float *x = &raw.own[r][0][in_raw_], *y = &raw.own[r][1][in_raw_];
      float *s = to + 2 * r * columns_ + to_own_, *d = s + columns_;
      if constexpr (kVector) {
        const auto a = *reinterpret_cast<const Vector<4>*>(x), b = *reinterpret_cast<const Vector<4>*>(y);
        Vector<4> sum, difference;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sum.v[i] = (a.v[i] - pivot) + b.v[i];
          difference.v[i] = a.v[i] - b.v[i];
        }
        *reinterpret_cast<Vector<4>*>(s) = sum;
        *reinterpret_cast<Vector<4>*>(d) = difference;
      } else {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          s[32 * i] = (x[32 * i] - pivot) + y[32 * i];
          d[32 * i] = x[32 * i] - y[32 * i];
        }
      }
    }
    if (!beside_) return;
    if constexpr (kVector) {
      const float sign = second_ ? -1.0f : 1.0f, from = second_ ? 0.0f : pivot;
      const float* at = &raw.beside[beside_raw_ % (4 * kBeside)];
      const auto a = *reinterpret_cast<const Vector<4>*>(at), b = *reinterpret_cast<const Vector<4>*>(at + 4 * kBeside);
      Vector<4> made;
#pragma unroll
      for (int i = 0; i < 4; ++i) made.v[i] = fma(sign, b.v[i], a.v[i] - from);
      *reinterpret_cast<Vector<4>*>(active_ ? to + to_beside_ : raw.spare + beside_raw_) = made;
    } else {
      const float a = raw.beside[beside_raw_], b = raw.beside[beside_raw_ + 4 * kBeside];
      to[to_beside_] = (a - pivot) + b;
      to[to_beside_ + columns_] = a - b;
    }
  }

 private:
  static constexpr int kBytes = kVector ? 16 : 4, kOwn = kVector ? 1 : 4;

  const float *x_, *y_;                // the lane's first own column in the row that is copied next
  const float *beside_x_, *beside_y_;  // the pixels beside the strip that it copies next
  int row_, limit_, width_, columns_, in_raw_, to_own_;
  unsigned inside_;  // bit i for own column i, or one for all
  int beside_row_, beside_raw_, to_beside_;
  bool second_, beside_, active_, beside_inside_;  // active_: this lane
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
