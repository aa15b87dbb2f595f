// SPDX-License-Identifier: MIT
// stream (CUDA), the value: a warp owns 128 columns, four a lane, and needs no block barrier.
//
// Rows come in pairs: while one pair is convolved, s - pivot and d of the next are formed from what asynchronous copies
// have brought, and the pair after that is being copied. A lane copies and forms its own four columns; the 16 columns
// beside the strip are done by half of the lanes, for both rows at once.
#pragma once

#include "stream_rows.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kValueColumns = 4;
inline constexpr int kValueStrip = 32 * kValueColumns;
inline constexpr int kValueWarps = 4, kValueThreads = 32 * kValueWarps;
inline constexpr int kValueBlocks = 2;  // resident on a multiprocessor
inline constexpr int kBeside = 8;       // columns loaded on each side of the strip
inline constexpr int kValueRow = kValueStrip + 2 * kBeside;
inline constexpr int kFlush = 8;  // rows that are summed in fp32

/// Of an even or odd pair of rows.
struct Pair {
  float row[2][2][kValueRow];   // row, s or d
  float own[2][2][kValueStrip];  // row, x or y: what a lane copies for itself
  float beside[2 * 4 * kBeside];  // x, then y; row, column: what it copies for others
};

struct ValueShared {
  Pair pair[kValueWarps][2];
  BlockMean mean;
};

struct Value {
  Work work;
  float c1, c2, scale;  // 2 C1 and 2 C2 in the scale of squared means; scale: from that of mean squares to that
  double count;
  double* sums;
  unsigned* counter;
  double* mean;
};

/// The images on their way to s - pivot and d. kVector: the image's rows are made of aligned vectors of four pixels, and
/// a lane's own columns are 4 lane .. 4 lane + 3; else they are lane + 32 i.
template <bool kVector>
class ValueFeed {
 public:
  __device__ __forceinline__ ValueFeed(const Work& work, const Run& run, int lane)
      : row_(run.top - kHalo), width_(work.width), own_(kVector ? 4 * lane : lane), inside_(0), lane_(lane) {
    limit_ = run.end + kHalo < work.height ? run.end + kHalo : work.height;
    const std::int64_t at = run.offset + static_cast<std::int64_t>(row_) * width_ + run.left;
    x_ = work.x + at + own_;
    y_ = work.y + at + own_;
#pragma unroll
    for (int i = 0; i < kOwn; ++i) inside_ |= static_cast<unsigned>(run.left + own_ + 32 * i < width_) << i;
    // Vector: lane is (x or y; d or s), row, vector. Else it is row, column, and does x and y, d and s.
    second_ = kVector && lane >= 8;
    beside_row_ = kVector ? lane / 4 % 2 : lane / 16;
    const int part = kVector ? lane % 4 * 4 : lane % 16;
    to_ = part < kBeside ? part : kValueStrip + part;
    const int column = run.left - kBeside + to_;
    const std::int64_t from = run.offset + static_cast<std::int64_t>(row_ + beside_row_) * width_ + column;
    beside_x_ = (second_ ? work.y : work.x) + from;
    beside_y_ = work.y + from;
    active_ = !kVector || lane < 16;
    beside_inside_ = column >= 0 && column < width_;
  }

  /// Starts copying the next pair of rows.
  __device__ __forceinline__ void copy(Pair& to) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const bool row_inside = static_cast<unsigned>(row_ + r) < static_cast<unsigned>(limit_);
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const bool inside = row_inside && (inside_ >> i & 1);
        copy_async<kBytes>(&to.own[r][0][own_ + 32 * i], x_ + r * static_cast<std::int64_t>(width_) + 32 * i, inside);
        copy_async<kBytes>(&to.own[r][1][own_ + 32 * i], y_ + r * static_cast<std::int64_t>(width_) + 32 * i, inside);
      }
    }
    if (active_) {
      const bool inside = static_cast<unsigned>(row_ + beside_row_) < static_cast<unsigned>(limit_) && beside_inside_;
      float* at = &to.beside[kVector ? 4 * lane_ : lane_];
      copy_async<kBytes>(at, beside_x_, inside);
      if (!kVector) copy_async<kBytes>(at + 4 * kBeside, beside_y_, inside);
    }
    copy_commit();
    row_ += 2;
    x_ += 2 * static_cast<std::int64_t>(width_);
    y_ += 2 * static_cast<std::int64_t>(width_);
    beside_x_ += 2 * static_cast<std::int64_t>(width_);
    beside_y_ += 2 * static_cast<std::int64_t>(width_);
  }

  /// Forms s and d of a pair whose copies all lanes have waited for.
  __device__ __forceinline__ void form(Pair& pair, float pivot) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float *s = &pair.row[r][0][kBeside + own_], *d = &pair.row[r][1][kBeside + own_];
      const float *x = &pair.own[r][0][own_], *y = &pair.own[r][1][own_];
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
    if constexpr (kVector) {
      if (active_) {
        const float sign = second_ ? -1.0f : 1.0f, from = second_ ? 0.0f : pivot;
        const float* at = &pair.beside[4 * (lane_ % 8)];
        const auto a = *reinterpret_cast<const Vector<4>*>(at), b = *reinterpret_cast<const Vector<4>*>(at + 4 * kBeside);
        Vector<4> made;
#pragma unroll
        for (int i = 0; i < 4; ++i) made.v[i] = fma(sign, b.v[i], a.v[i] - from);
        *reinterpret_cast<Vector<4>*>(&pair.row[beside_row_][second_][to_]) = made;
      }
    } else {
      const float a = pair.beside[lane_], b = pair.beside[lane_ + 4 * kBeside];
      pair.row[beside_row_][0][to_] = (a - pivot) + b;
      pair.row[beside_row_][1][to_] = a - b;
    }
  }

 private:
  static constexpr int kBytes = kVector ? 16 : 4, kOwn = kVector ? 1 : 4;

  const float *x_, *y_;                // the lane's first own column in the row that is copied next
  const float *beside_x_, *beside_y_;  // the pixels beside the strip that it copies next
  int row_, limit_, width_, own_;
  unsigned inside_;  // bit i for own column i, or one for all
  int lane_, beside_row_, to_;
  bool second_, active_, beside_inside_;
};

/// (1 - SSIM) / 2, added to sum. With a = ms^2 + 2 C1, m = md^2, g = vs + 2 C2, e = vd:
/// (m g + a e) / ((a + m) (g + e)). g is formed before anything of d comes in: C2 would drown.
__device__ __forceinline__ float add_loss(float ms, float md, float ess, float edd, const Value& p, float pivot,
                                          float sum) {
  const float level = ms + pivot;
  const float m = md * md;
  const float a = fma(level, level, p.c1);
  const float g = fma(-ms, ms, fma(p.scale, ess, p.c2));
  const float e = fma(p.scale, edd, -m);
#ifdef SSIM_TWO_RECIPROCALS
  const float u = m * reciprocal_fast(a + m), v = e * reciprocal_fast(g + e);
  return fma(v, fma(-2.0f, u, 1.0f), sum + u);
#else
  return fma(fma(m, g, a * e), reciprocal_fast((a + m) * (g + e)), sum);
#endif
}

template <bool kVector>
__global__ void __launch_bounds__(kValueThreads, kValueBlocks) stream_value(const Value p) {
  auto& memory = shared<ValueShared>();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const Work& work = p.work;
  const std::int64_t worker = static_cast<std::int64_t>(blockIdx.x) * kValueWarps + warp;
  std::int64_t line = worker * work.piece;
  const std::int64_t stop = line + work.piece < work.lines ? line + work.piece : work.lines;
  double loss = 0;
  while (line < stop) {
    const Run run = next_run(work, line, stop);
    line += run.end - run.top;
    ValueFeed<kVector> feed(work, run, lane);
    Pair *now = &memory.pair[warp][0], *next = &memory.pair[warp][1];
    sync_warp();  // the run before has been read
    feed.copy(*now);
    feed.copy(*next);
    const float pivot = find_pivot(work, run), pivot_mean = static_cast<float>(kScale) * pivot;
    unsigned counts = 0;
#pragma unroll
    for (int c = 0; c < kValueColumns; ++c) {
      const int column = run.left + lane * kValueColumns + c;
      counts |= static_cast<unsigned>(column >= work.margin && column < run.right) << c;
    }
    float pending[4][kValueColumns][10];
    clear(pending);
    copy_wait<1>();
    sync_warp();
    feed.form(*now, pivot);

    const int rows = run.end - run.top;
    for (int r = -2 * kHalo; r < rows;) {  // of the result
      const int stage = r + kFlush < rows ? r + kFlush : rows;
      float part[kValueColumns] = {};
#pragma unroll 1
      for (; r < stage; r += 2) {
        copy_wait<0>();
        sync_warp();  // the pair is there, the one before has been read, the next has come
        feed.copy(*now);
        feed.form(*next, pivot);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const auto& row = now->row[k];
          float ms[kValueColumns], md[kValueColumns], ess[kValueColumns], edd[kValueColumns];
          Window<kValueColumns> window;
          window.load(&row[0][lane * kValueColumns]);
          push(window, pending[0], ms);
          window.square();
          push(window, pending[1], ess);
          window.load(&row[1][lane * kValueColumns]);
          push(window, pending[2], md);
          window.square();
          push(window, pending[3], edd);
          // Rows outside are computed and dropped: a branch would cost more in copies of registers.
          const bool inside = static_cast<unsigned>(r + k) < static_cast<unsigned>(rows);
#pragma unroll
          for (int c = 0; c < kValueColumns; ++c) {
            const float sum = add_loss(ms[c], md[c], ess[c], edd[c], p, pivot_mean, part[c]);
            part[c] = inside ? sum : part[c];
          }
        }
        Pair* const other = now;
        now = next;
        next = other;
      }
      float sum = 0;
#pragma unroll
      for (int c = 0; c < kValueColumns; ++c) sum += counts >> c & 1 ? part[c] : 0.0f;
      loss += static_cast<double>(sum);
    }
    copy_wait<0>();
  }
  finish_mean<kValueThreads>(2 * loss, memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
