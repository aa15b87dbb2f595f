// SPDX-License-Identifier: MIT
// stream (CUDA), the value: a warp owns 128 columns, four a lane, and needs no block barrier.
//
// While one pair of rows is convolved, the next is formed and the one after that copied (stream_feed.cuh).
#pragma once

#include "stream_feed.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kValueColumns = 4;  // of a lane
inline constexpr int kValueWarps = 4, kValueThreads = 32 * kValueWarps;
inline constexpr int kValueBlocks = 2;  // resident on a multiprocessor
inline constexpr int kFlush = 8;        // rows that are summed in fp32

struct ValueShared {
  struct Pair {
    float image[2][2][kWarpColumns + 2 * kBeside];  // row, s or d
    Raw raw;
  } pair[kValueWarps][2];  // warp, even or odd pair
  BlockMean mean;
};

struct Value {
  Work work;
  float c1, c2;  // 2 C1 and 2 C2 in the scale of squared means, the first shrunk
  float scale;   // from that of mean squares to that
  MeanSum mean;
};

/// What a and m below are scaled by beside the scale of squared means, so that their product with g and e does not
/// overflow for images up to 1e13 times the range of the data: the square of kShrink, a power of two.
inline constexpr float kShrink = 0x1p-50f;

/// (1 - SSIM) / 2, added to sum. With a = ms^2 + 2 C1, m = md^2, g = vs + 2 C2, e = vd:
/// (m g + a e) / ((a + m) (g + e)). g is formed before anything of d comes in: C2 would drown. Where
/// the product is too large for fp32 its reciprocal is zero, and zero times it makes the sum NaN.
__device__ __forceinline__ float add_loss(float ms, float md, float ess, float edd, const Value& p, float pivot,
                                          float sum) {
  const float level = fma(ms, kShrink, pivot), square = md * md;
  const float m = square * (kShrink * kShrink), a = fma(level, level, p.c1);
  const float g = fma(-ms, ms, fma(p.scale, ess, p.c2)), e = fma(p.scale, edd, -square);
  const float product = (a + m) * (g + e);
  return fma(product, 0.0f, fma(fma(m, g, a * e), reciprocal_fast(product), sum));
}

template <bool kVector>
__global__ void __launch_bounds__(kValueThreads, kValueBlocks) stream_value(const Value p) {
  auto& memory = shared<ValueShared>();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const Work& work = p.work;
  double loss = 0;
  Run run;
  for (int done = 0; next_run(work, static_cast<std::int64_t>(blockIdx.x) * kValueWarps + warp, done, run);) {
    Feed<kVector> feed(work, run, run.top - kHalo, run.end + kHalo, run.left, kWarpColumns, 0, true, lane);
    auto *now = &memory.pair[warp][0], *next = &memory.pair[warp][1];
    sync_warp();  // the run before has been read
    feed.copy(now->raw);
    feed.copy(next->raw);
    const float pivot = find_pivot(work, run), pivot_mean = kShrink * static_cast<float>(kScale) * pivot;
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
    feed.form(now->raw, now->image[0][0], pivot);

    const int rows = run.end - run.top;
    for (int r = -2 * kHalo; r < rows;) {  // of the result
      const int stage = r + kFlush < rows ? r + kFlush : rows;
      float part[kValueColumns] = {};
#pragma unroll 1
      for (; r < stage; r += 2) {
        copy_wait<0>();
        sync_warp();  // this pair is there, the one before has been read, the next one's pixels have come
        feed.copy(now->raw);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          if (k == 1) feed.form(next->raw, next->image[0][0], pivot);
          const auto& row = now->image[k];
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
        auto* const other = now;
        now = next;
        next = other;
      }
      float sum = 0;  // fp64 is slow on many cards
#pragma unroll
      for (int c = 0; c < kValueColumns; ++c) sum += counts >> c & 1 ? part[c] : 0.0f;
      loss += static_cast<double>(sum);
    }
    copy_wait<0>();
  }
  finish_mean<kValueThreads>(2 * loss, memory.mean, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
