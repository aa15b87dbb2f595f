// SPDX-License-Identifier: MIT
// stream (CUDA), the value: a block is two warps that share 128 columns, four a lane: one convolves s and s^2, the other
// d and d^2, so that either gets by with half of the registers.
//
// While one pair of rows is convolved, the next is formed and the one after that copied (stream_feed.cuh). Of the pair
// before each warp evaluates one row, for which the statistics go through shared memory. One barrier a pair.
#pragma once

#include "stream_feed.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kValueColumns = 4;  // of a lane
inline constexpr int kValueThreads = 64;
inline constexpr int kValueBlocks = 6;  // resident on a multiprocessor
inline constexpr int kFlush = 8;        // rows that are summed in fp32

struct ValueShared {
  Raw raw[2][2];                                    // even or odd pair, warp
  float image[2][2][2][kWarpColumns + 2 * kBeside];  // pair, row, s or d
  float statistic[2][2][2][2][kWarpColumns];         // pair, row, s or d, mean or mean square
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
    Feed<kVector, kRole> feed(work, run.offset, run.top - kHalo, run.end + kHalo, run.left, kWarpColumns, 0,
                              kRole == 0, lane);
    sync_block();  // the run before has been read
    feed.copy(memory.raw[0][kRole]);
    feed.copy(memory.raw[1][kRole]);
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
    sync_warp();
    feed.form(memory.raw[0][kRole], &memory.image[0][0][0][0], pivot);

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
        feed.copy(memory.raw[parity][kRole]);
        feed.form(memory.raw[parity ^ 1][kRole], &memory.image[parity ^ 1][0][0][0], pivot);
        evaluate(r - 2 + kRole);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          Vector<kValueColumns> mean, square;
          Window<kValueColumns> window;
          window.load(&memory.image[parity][k][kRole][lane * kValueColumns]);
          push(window, pending[0], mean.v);
          window.square();
          push(window, pending[1], square.v);
          auto& to = memory.statistic[parity][k][kRole];
          *reinterpret_cast<Vector<kValueColumns>*>(&to[0][kValueColumns * lane]) = mean;
          *reinterpret_cast<Vector<kValueColumns>*>(&to[1][kValueColumns * lane]) = square;
        }
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
