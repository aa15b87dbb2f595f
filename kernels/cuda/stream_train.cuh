// SPDX-License-Identifier: MIT
// stream (CUDA), value and gradient in one pass over the images.
//
// Three warps share 128 columns, four a lane. Two of them form s and d, convolve s, s^2 and d, d^2, exchange statistics
// through shared memory and make the fields p, q, r of one row each, a pair of rows a step; the third convolves the
// fields and writes the gradient, two steps behind and ten rows behind the input; s and d of those rows are still in
// shared memory. One barrier a step. A block has 1, 2 or 4 such groups: a strip is 16 columns narrower than its groups'
// 128 each, so what suits depends on the width.
#pragma once

#include <limits>

#include "stream_feed.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kTrainColumns = 4;                         // of a lane
inline constexpr int kBefore = Window<kTrainColumns>::kBefore;  // 8
inline constexpr int kMostGroups = 4;                           // that a multiprocessor holds, in one block or several
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

template <int kGroups>
struct TrainShared {
  static constexpr int kOwn = kGroups * kWarpColumns;
  Raw raw[2][kGroups][2];                              // even or odd step, group, warp
  float given[2][kGroups][2][2][kWarpColumns];         // step, group, by which warp, mean or mean square: of the row that
                                                       // the other warp evaluates
  float image[kRing][2][2][kOwn + 2 * kBeside];        // row, s or d
  float field[2][2][3][kOwn];                          // step, row; p, q, r
  double loss[2][kGroups][32];                         // warp, group, lane: here, because registers are scarce
  BlockMean mean;
};

/// Steps of a run: of the image rows from 10 above to 10 below, and the lag.
__device__ inline int steps(const Run& run) { return (run.end - run.top + 4 * kHalo + 1) / 2 + kLag; }

/// Step i: statistics of image rows top - 10 + 2 i and the one below, fields of the step before; kRole: 0 for s and the
/// upper row, 1 for d and the lower one.
template <bool kVector, int kRole, int kGroups>
__device__ __forceinline__ void make_fields(const Train& p, TrainShared<kGroups>& memory, int group, int lane) {
  const Work& work = p.work;
  const int own = group * kWarpColumns + lane * kTrainColumns;
  double& loss = memory.loss[kRole][group][lane];  // half of the sum of 1 - SSIM over the lane's positions
  loss = 0;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    // Image rows begin 16 columns before the gradient's, fields 8.
    Feed<kVector, kRole> feed(work, run.offset, run.top - 2 * kHalo, run.end + 2 * kHalo, run.left - kBefore,
                              kGroups * kWarpColumns, group * kWarpColumns, kRole == 0 && group == 0, lane);
    const auto raw = [&](int step) -> Raw& { return memory.raw[step % 2][group][kRole]; };
    sync_block();  // the run before is done
    feed.copy(raw(0));
    feed.copy(raw(1));
    // Where a position does not count infinite constants make all that comes of it zero.
    float c1[kTrainColumns], c2[kTrainColumns];
    unsigned mine = 0;
    const int column = run.left - kBefore + own;  // of the first field
#pragma unroll
    for (int c = 0; c < kTrainColumns; ++c) {
      const bool counts = column + c >= work.margin && column + c < work.width - work.margin;
      c1[c] = counts ? p.c1 : std::numeric_limits<float>::infinity();
      c2[c] = counts ? p.c2 : std::numeric_limits<float>::infinity();
      mine |= static_cast<unsigned>(column + c >= run.left && column + c < run.right) << c;
    }
    const float pivot = find_pivot(work, run), pivot_mean = static_cast<float>(kScale) * pivot;
    float pending[2][kTrainColumns][10];
    clear(pending);
    copy_wait<1>();
    sync_warp();
    feed.form(raw(0), &memory.image[0][0][0][0], pivot);

    float part[kTrainColumns] = {};
    Vector<kTrainColumns> kept[2] = {};  // mean and mean square of the row that this warp evaluates
    const auto evaluate = [&](int step) {
      const int row = run.top - 2 * kHalo + step * 2 + kRole - kHalo;
      const bool counts = row >= work.margin && row < work.height - work.margin;
      const bool adds = counts && row >= run.top && row < run.end;
      const auto& given = memory.given[(step + 2) % 2][group][1 - kRole];
      const auto mean = *reinterpret_cast<const Vector<kTrainColumns>*>(&given[0][kTrainColumns * lane]);
      const auto square = *reinterpret_cast<const Vector<kTrainColumns>*>(&given[1][kTrainColumns * lane]);
      // Before row 10 of a run what follows is of no meaning, and nobody reads it.
      Vector<kTrainColumns> field[3];
#pragma unroll
      for (int c = 0; c < kTrainColumns; ++c) {
        const float ms = kRole == 0 ? kept[0].v[c] : mean.v[c], ess = kRole == 0 ? kept[1].v[c] : square.v[c];
        const float md = kRole == 1 ? kept[0].v[c] : mean.v[c], edd = kRole == 1 ? kept[1].v[c] : square.v[c];
        // In the scale of squared means, twice A = a, twice B = b; u and v here are halves of those of pixel.hpp.
        const float level = ms + pivot_mean, m = md * md;
        const float a = fma(level, level, m + c1[c]);
        const float e = fma(p.scale, edd, -m);
        const float b = fma(-ms, ms, fma(p.scale, ess, c2[c])) + e;
        const float inverse_a = reciprocal_fast(a), inverse_b = reciprocal_fast(b);
        const float u = m * inverse_a, v = e * inverse_b;
        const float l = fma(-2.0f, u, 1.0f), t = l * inverse_b;
        const float r = t * v, q = r - t;
        const float g = fma(level, u, fma(md, u, -md)) * (fma(-2.0f, v, 1.0f) * inverse_a);
        field[0].v[c] = fma(-ms, r, fma(-md, q, g));
        field[1].v[c] = q;
        field[2].v[c] = r;
        if (adds) part[c] = fma(v, l, part[c] + u);
      }
      auto& to = memory.field[(step + 2) % 2][kRole];
#pragma unroll
      for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&to[f][own]) = field[f];
      if (!counts) {
#pragma unroll
        for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&to[f][own]) = {};
      }
    };
    const int last = steps(run);
    int slot = 0;
    for (int i = 0; i < last;) {
      const int stage = i + 4 < last ? i + 4 : last;
#pragma unroll 1
      for (; i < stage; ++i) {
        copy_wait<0>();
        sync_block();  // rows of this step and statistics of the one before are there, raw pixels of the next as well
        const auto& now = memory.image[slot];
        slot = slot + 1 == kRing ? 0 : slot + 1;
        feed.copy(raw(i));
        feed.form(raw(i + 1), &memory.image[slot][0][0][0], pivot);
        evaluate(i - 1);
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          Vector<kTrainColumns> mean, square;
          Window<kTrainColumns> window;
          window.load(&now[k][kRole][own]);
          push(window, pending[0], mean.v);
          window.square();
          push(window, pending[1], square.v);
          if (k == kRole) {
            kept[0] = mean;
            kept[1] = square;
          } else {
            auto& given = memory.given[i % 2][group][kRole];
            *reinterpret_cast<Vector<kTrainColumns>*>(&given[0][kTrainColumns * lane]) = mean;
            *reinterpret_cast<Vector<kTrainColumns>*>(&given[1][kTrainColumns * lane]) = square;
          }
        }
      }
      float sum = 0;  // fp64 is slow on many cards
#pragma unroll
      for (int c = 0; c < kTrainColumns; ++c) {
        sum += mine >> c & 1 ? part[c] : 0.0f;
        part[c] = 0;
      }
      loss += static_cast<double>(sum);
    }
    copy_wait<0>();
  }
}

/// Step i: turns the fields of step i - kLag into gradient rows.
template <bool kVector, int kGroups>
__device__ __forceinline__ void make_gradient(const Train& p, const TrainShared<kGroups>& memory, int thread) {
  const Work& work = p.work;
  const float scale = (p.weight ? *p.weight : 1.0f) * p.gradient_scale;
  constexpr int kLast = kGroups * kWarpColumns - Window<kTrainColumns>::kVectors * kTrainColumns;
  const int own = thread * kTrainColumns, from = own < kLast ? own : kLast;  // columns beyond have no gradient
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    const int column = run.left + own;
    // Begins ten rows above, where nothing is written.
    float* to = p.grad_x + run.offset + static_cast<std::int64_t>(run.top - 2 * kHalo) * work.width + column;
    const unsigned rows = run.end - run.top;
    float pending[3][kTrainColumns][10];
    clear(pending);
    const int last = steps(run);
    sync_block();
    constexpr int kFirst = kHalo + kLag;  // fields exist from image row 10 on
    for (int i = 0; i < kFirst; ++i) sync_block();
    int slot = 0;
#pragma unroll 1
    for (int i = kFirst; i < last; ++i) {
      sync_block();
      const auto& field = memory.field[i % 2];  // made in step i - 1
      const auto& pair = memory.image[slot];
      slot = slot + 1 == kRing ? 0 : slot + 1;
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        float out[3][kTrainColumns];
        Window<kTrainColumns> window;
#pragma unroll
        for (int f = 0; f < 3; ++f) {
          window.load(&field[k][f][from]);
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
        const int row = (i - kFirst) * 2 + k - 2 * kHalo;  // of the gradient
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
  }
}

template <bool kVector, int kGroups>
__global__ void __launch_bounds__(96 * kGroups, kMostGroups / kGroups) stream_train(const Train p) {
  auto& memory = shared<TrainShared<kGroups>>();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (warp < kGroups) {
    make_fields<kVector, 0>(p, memory, warp, lane);
  } else if (warp < 2 * kGroups) {
    make_fields<kVector, 1>(p, memory, warp - kGroups, lane);
  } else {
    make_gradient<kVector>(p, memory, threadIdx.x - 64 * kGroups);
  }
  const double loss = warp < 2 * kGroups ? 2 * memory.loss[warp / kGroups][warp % kGroups][lane] : 0;
  finish_mean<96 * kGroups>(loss, memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
