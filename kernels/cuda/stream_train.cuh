// SPDX-License-Identifier: MIT
// stream (CUDA), value and gradient in one pass over the images.
//
// Two warps share 128 columns, four a lane. One forms s and d and convolves them and their squares; the other makes the
// fields p, q, r of the statistics a step later, convolves the fields of the step before and writes the gradient, ten rows
// behind the input; s and d of those rows are still in shared memory. Their work is about equal, so that each of the four
// schedulers, which has one of either, is kept busy by both to the end of a step of two rows, where the block has its
// one barrier. A block has 1 or 4 such pairs of warps: a strip is 16 columns narrower than its pairs' 128 each, so what
// suits depends on the width.
#pragma once

#include <limits>

#include "stream_feed.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kTrainColumns = 4;                         // of a lane
inline constexpr int kBefore = Window<kTrainColumns>::kBefore;  // 8
inline constexpr int kMostPairs = 4;                            // that a multiprocessor holds, in one block or several
inline constexpr int kRing = 9;                                 // pairs of rows: 7 steps from s and d to the gradient
inline constexpr int kLag = 2;                                  // steps from the images to the gradient

struct Train {
  Work work;
  float c1, c2, scale;  // 2 C1 and 2 C2 in the scale of squared means; scale: from that of mean squares to that
  float gradient_scale;
  double count;
  const float* weight;
  float* grad_x;
  double* sums;
  unsigned* counter;
  double* mean;
};

template <int kPairs>
struct TrainShared {
  static constexpr int kOwn = kPairs * kWarpColumns;
  float image[kRing][2][2][kOwn + 2 * kBeside];  // row, s or d
  Raw raw[2][kPairs];                            // even or odd step
  float statistic[2][2][4][kOwn];                // step, row; means of s, s^2, d, d^2
  float field[2][2][3][kOwn];                    // step, row; p, q, r
  BlockMean mean;
};

/// Steps of a run: of the image rows from 10 above to 10 below, and the lag.
__device__ inline int steps(const Run& run) { return (run.end - run.top + 4 * kHalo + 1) / 2 + kLag; }

/// Step i: statistics of image rows top - 10 + 2 i and the one below.
template <bool kVector, int kPairs>
__device__ __forceinline__ void make_statistics(const Train& p, TrainShared<kPairs>& memory, int pair, int lane) {
  const int own = pair * kWarpColumns + lane * kTrainColumns;
  Run run;
  for (int done = 0; next_run(p.work, blockIdx.x, done, run);) {
    // Image rows begin 16 columns before the gradient's, fields 8.
    Feed<kVector> feed(p.work, run, run.top - 2 * kHalo, run.end + 2 * kHalo, run.left - kBefore,
                       kPairs * kWarpColumns, pair * kWarpColumns, pair == 0, lane);
    sync_block();  // the run before is done
    feed.copy(memory.raw[0][pair]);
    feed.copy(memory.raw[1][pair]);
    const float pivot = find_pivot(p.work, run);
    float pending[4][kTrainColumns][10];
    clear(pending);
    copy_wait<1>();
    sync_warp();
    feed.form(memory.raw[0][pair], memory.image[0][0][0], pivot);
    const int last = steps(run);
    int slot = 0;
#pragma unroll 1
    for (int i = 0; i < last; ++i) {
      copy_wait<0>();
      sync_block();  // rows of this step are there, and raw pixels of the next
      const auto& now = memory.image[slot];
      slot = slot + 1 == kRing ? 0 : slot + 1;
      feed.copy(memory.raw[i % 2][pair]);
      feed.form(memory.raw[(i + 1) % 2][pair], memory.image[slot][0][0], pivot);
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        Vector<kTrainColumns> mean[4];
        Window<kTrainColumns> window;
        window.load(&now[k][0][own]);
        push(window, pending[0], mean[0].v);
        window.square();
        push(window, pending[1], mean[1].v);
        window.load(&now[k][1][own]);
        push(window, pending[2], mean[2].v);
        window.square();
        push(window, pending[3], mean[3].v);
#pragma unroll
        for (int f = 0; f < 4; ++f) {
          *reinterpret_cast<Vector<kTrainColumns>*>(&memory.statistic[i % 2][k][f][own]) = mean[f];
        }
      }
    }
    copy_wait<0>();
  }
}

/// Step i: fields of the statistics of step i - 1, and gradient rows of the fields of step i - 2. Gives the thread's sum
/// of 1 - SSIM.
template <bool kVector, int kPairs>
__device__ __forceinline__ double make_gradient(const Train& p, TrainShared<kPairs>& memory, int thread) {
  const Work& work = p.work;
  const float scale = (p.weight ? *p.weight : 1.0f) * p.gradient_scale;
  constexpr int kLast = kPairs * kWarpColumns - Window<kTrainColumns>::kVectors * kTrainColumns;
  const int own = thread * kTrainColumns, from = own < kLast ? own : kLast;  // columns beyond have no gradient
  double loss = 0;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    // Where a position does not count infinite constants make all that comes of it zero.
    float c1[kTrainColumns], c2[kTrainColumns];
    unsigned mine = 0;
    const int field_column = run.left - kBefore + own, column = run.left + own;
#pragma unroll
    for (int c = 0; c < kTrainColumns; ++c) {
      const bool counts = field_column + c >= work.margin && field_column + c < work.width - work.margin;
      c1[c] = counts ? p.c1 : std::numeric_limits<float>::infinity();
      c2[c] = counts ? p.c2 : std::numeric_limits<float>::infinity();
      mine |= static_cast<unsigned>(field_column + c >= run.left && field_column + c < run.right) << c;
    }
    const float pivot_mean = static_cast<float>(kScale) * find_pivot(work, run);
    // Begins twelve rows above, where nothing is written.
    float* to = p.grad_x + run.offset + static_cast<std::int64_t>(run.top - 2 * kHalo - 2) * work.width + column;
    const unsigned rows = run.end - run.top;
    float pending[3][kTrainColumns][10];
    clear(pending);
    const int last = steps(run);
    // Fields exist from image row 10 on; those of the step before count as zero.
    constexpr int kFirst = kHalo + 1;
    sync_block();
#pragma unroll
    for (int k = 0; k < 2; ++k) {
#pragma unroll
      for (int f = 0; f < 3; ++f) {
        *reinterpret_cast<Vector<kTrainColumns>*>(&memory.field[kFirst % 2][k][f][own]) = {};
      }
    }
    for (int i = 0; i < kFirst; ++i) sync_block();
    int slot = kRing - 1;
    for (int i = kFirst; i < last;) {
      const int stage = i + 4 < last ? i + 4 : last;
      float part[kTrainColumns] = {};
#pragma unroll 1
      for (; i < stage; ++i) {
        sync_block();
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const int row = run.top - 2 * kHalo + (i - 1) * 2 + k - kHalo;
          const bool counts = row >= work.margin && row < work.height - work.margin;
          const bool adds = counts && row >= run.top && row < run.end;
          const auto& statistic = memory.statistic[(i + 1) % 2][k];
          const auto mean = [&](int f) { return *reinterpret_cast<const Vector<kTrainColumns>*>(&statistic[f][own]); };
          const auto ms = mean(0), ess = mean(1), md = mean(2), edd = mean(3);
          Vector<kTrainColumns> field[3];
#pragma unroll
          for (int c = 0; c < kTrainColumns; ++c) {
            // In the scale of squared means, twice A = a, twice B = b; u and v are halves of those of pixel.hpp.
            const float level = ms.v[c] + pivot_mean, m = md.v[c] * md.v[c];
            const float a = fma(level, level, m + c1[c]);
            const float e = fma(p.scale, edd.v[c], -m);
            const float b = fma(-ms.v[c], ms.v[c], fma(p.scale, ess.v[c], c2[c])) + e;
            const float inverse_a = reciprocal_fast(a), inverse_b = reciprocal_fast(b);
            const float u = m * inverse_a, v = e * inverse_b;
            const float l = fma(-2.0f, u, 1.0f), t = l * inverse_b;
            const float r = t * v, q = r - t;
            const float g = fma(level, u, fma(md.v[c], u, -md.v[c])) * (fma(-2.0f, v, 1.0f) * inverse_a);
            field[0].v[c] = fma(-ms.v[c], r, fma(-md.v[c], q, g));
            field[1].v[c] = q;
            field[2].v[c] = r;
            if (adds) part[c] = fma(v, l, part[c] + u);
          }
          auto& made = memory.field[(i + 1) % 2][k];
#pragma unroll
          for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&made[f][own]) = field[f];
          if (!counts) {
#pragma unroll
            for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&made[f][own]) = {};
          }
        }
        const auto& pair = memory.image[slot];
        slot = slot + 1 == kRing ? 0 : slot + 1;
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          float out[3][kTrainColumns];
          Window<kTrainColumns> window;
#pragma unroll
          for (int f = 0; f < 3; ++f) {
            window.load(&memory.field[i % 2][k][f][from]);
            push(window, pending[f], out[f]);
          }
          const auto s = *reinterpret_cast<const Vector<kTrainColumns>*>(&pair[k][0][2 * kBefore + from]);
          const auto d = *reinterpret_cast<const Vector<kTrainColumns>*>(&pair[k][1][2 * kBefore + from]);
          Vector<kTrainColumns> gradient;
#pragma unroll
          for (int c = 0; c < kTrainColumns; ++c) {
            const float squares = fma(d.v[c], out[1][c], s.v[c] * out[2][c]);
            gradient.v[c] = scale * fma(static_cast<float>(1 / kScale), out[0][c], squares);
          }
          const int row = (i - kFirst) * 2 + k - 2 * kHalo - 2;  // of the gradient
          if (static_cast<unsigned>(row) < rows && column < run.right) {
            if constexpr (kVector) {
              *reinterpret_cast<Vector<kTrainColumns>*>(to) = gradient;
            } else {
#pragma unroll
              for (int c = 0; c < kTrainColumns; ++c) {
                if (column + c < run.right) to[c] = gradient.v[c];
              }
            }
          }
          to += work.width;
        }
      }
      float sum = 0;  // fp64 is slow on many cards
#pragma unroll
      for (int c = 0; c < kTrainColumns; ++c) sum += mine >> c & 1 ? part[c] : 0.0f;
      loss += static_cast<double>(sum);
    }
  }
  return 2 * loss;
}

template <bool kVector, int kPairs>
__global__ void __launch_bounds__(64 * kPairs, kMostPairs / kPairs) stream_train(const Train p) {
  auto& memory = shared<TrainShared<kPairs>>();
  // Of blocks of two warps that share a multiprocessor one half begins with the one kind and the other half with the
  // other, so that each scheduler gets one of either.
  const int thread = (threadIdx.x + (kPairs == 1 && blockIdx.x * 2 >= gridDim.x ? 32 : 0)) % (64 * kPairs);
  double loss = 0;
  if (thread < 32 * kPairs) {
    make_statistics<kVector>(p, memory, thread / 32, thread % 32);
  } else {
    loss = make_gradient<kVector>(p, memory, thread - 32 * kPairs);
  }
  finish_mean<64 * kPairs>(loss, memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
