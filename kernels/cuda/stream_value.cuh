// SPDX-License-Identifier: MIT
// stream (CUDA), the value: a block is two warps that share 128 columns, four a lane: one convolves s and s^2, the other
// d and d^2, so that either gets by with half of the registers.
//
// Rows come in pairs: while one pair is convolved, s - pivot and d of the next are formed from what asynchronous copies
// have brought (one row by each warp), and the pair after that is being copied. The 16 columns beside the strip are done
// by half of a warp, for both rows at once. Of the pair before each warp evaluates one row, for which it got the other's
// statistics through shared memory. One barrier a pair of rows.
#pragma once

#include "stream_rows.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kValueColumns = 4;
inline constexpr int kValueStrip = 32 * kValueColumns;
inline constexpr int kValueThreads = 64;
inline constexpr int kValueBlocks = 6;  // resident on a multiprocessor
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
  Pair pair[2];
  float statistic[2][2][2][2][kValueStrip];  // even or odd pair, row, s or d, mean or mean square
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
/// a lane's own columns are 4 lane .. 4 lane + 3; else they are lane + 32 i. kRole: the row of a pair that the warp does.
template <bool kVector, int kRole>
class ValueFeed {
 public:
  __device__ __forceinline__ ValueFeed(const Work& work, const Run& run, int lane)
      : row_(run.top - kHalo), width_(work.width), own_(kVector ? 4 * lane : lane), inside_(0), lane_(lane) {
    limit_ = run.end + kHalo < work.height ? run.end + kHalo : work.height;
    const std::int64_t at = run.offset + static_cast<std::int64_t>(row_ + kRole) * width_ + run.left;
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
    active_ = kRole == 0 && (!kVector || lane < 16);
    beside_inside_ = column >= 0 && column < width_;
  }

  /// Starts copying the next pair of rows.
  __device__ __forceinline__ void copy(Pair& to) {
    const bool row_inside = static_cast<unsigned>(row_ + kRole) < static_cast<unsigned>(limit_);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const bool inside = row_inside && (inside_ >> i & 1);
      copy_async<kBytes>(&to.own[kRole][0][own_ + 32 * i], x_ + 32 * i, inside);
      copy_async<kBytes>(&to.own[kRole][1][own_ + 32 * i], y_ + 32 * i, inside);
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
    float *s = &pair.row[kRole][0][kBeside + own_], *d = &pair.row[kRole][1][kBeside + own_];
    const float *x = &pair.own[kRole][0][own_], *y = &pair.own[kRole][1][own_];
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
    } else if (active_) {
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

/// What a warp does; kRole: 0 for s, 1 for d. Gives half of the sum of 1 - SSIM over its positions.
template <bool kVector, int kRole>
__device__ __forceinline__ double sum_losses(const Value& p, ValueShared& memory, int lane) {
  const Work& work = p.work;
  double loss = 0;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    ValueFeed<kVector, kRole> feed(work, run, lane);
    Pair *now = &memory.pair[0], *next = &memory.pair[1];
    sync_block();  // the run before has been read
    feed.copy(*now);
    feed.copy(*next);
    const float pivot = find_pivot(work, run), pivot_mean = static_cast<float>(kScale) * pivot;
    unsigned counts = 0;
#pragma unroll
    for (int c = 0; c < kValueColumns; ++c) {
      const int column = run.left + lane * kValueColumns + c;
      counts |= static_cast<unsigned>(column >= work.margin && column < run.right) << c;
    }
    float pending[2][kValueColumns][10];
    clear(pending);
    copy_wait<1>();
    sync_block();
    feed.form(*now, pivot);

    float part[kValueColumns] = {};
    const int rows = run.end - run.top;
    int parity = 0;
    // The warp's row of the pair before, which is row r of the result.
    const auto evaluate = [&](int r) {
      const bool inside = static_cast<unsigned>(r) < static_cast<unsigned>(rows);
      const auto& from = memory.statistic[parity ^ 1][kRole];
      const auto at = [&](int which, int power) {
        return *reinterpret_cast<const Vector<kValueColumns>*>(&from[which][power][kValueColumns * lane]);
      };
      const auto ms = at(0, 0), ess = at(0, 1), md = at(1, 0), edd = at(1, 1);
#pragma unroll
      for (int c = 0; c < kValueColumns; ++c) {
        // Rows outside are computed and dropped: a branch would cost more in copies of registers.
        const float sum = add_loss(ms.v[c], md.v[c], ess.v[c], edd.v[c], p, pivot_mean, part[c]);
        part[c] = inside ? sum : part[c];
      }
    };
    for (int r = -2 * kHalo; r < rows;) {  // of the result
      const int stage = r + kFlush < rows ? r + kFlush : rows;
#pragma unroll 1
      for (; r < stage; r += 2) {
        copy_wait<0>();
        sync_block();  // the pair is there, the one before has been read, the next has come
        feed.copy(*now);
        feed.form(*next, pivot);
        evaluate(r - 2 + kRole);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          Vector<kValueColumns> mean, square;
          Window<kValueColumns> window;
          window.load(&now->row[k][kRole][lane * kValueColumns]);
          push(window, pending[0], mean.v);
          window.square();
          push(window, pending[1], square.v);
          auto& to = memory.statistic[parity][k][kRole];
          *reinterpret_cast<Vector<kValueColumns>*>(&to[0][kValueColumns * lane]) = mean;
          *reinterpret_cast<Vector<kValueColumns>*>(&to[1][kValueColumns * lane]) = square;
        }
        Pair* const other = now;
        now = next;
        next = other;
        parity ^= 1;
      }
      if (r >= rows) {
        sync_block();
        evaluate(r - 2 + kRole);
      }
      float sum = 0;
#pragma unroll
      for (int c = 0; c < kValueColumns; ++c) {
        sum += counts >> c & 1 ? part[c] : 0.0f;
        part[c] = 0;
      }
      loss += static_cast<double>(sum);
    }
    copy_wait<0>();
  }
  return loss;
}

template <bool kVector>
__global__ void __launch_bounds__(kValueThreads, kValueBlocks) stream_value(const Value p) {
  auto& memory = shared<ValueShared>();
  const int lane = threadIdx.x % 32;
  const double loss = threadIdx.x < 32 ? sum_losses<kVector, 0>(p, memory, lane)
                                       : sum_losses<kVector, 1>(p, memory, lane);
  finish_mean<kValueThreads>(2 * loss, memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
