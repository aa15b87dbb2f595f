// SPDX-License-Identifier: MIT
// stream (CUDA), value and gradient in one pass over the images.
//
// Two warps share 128 columns, four a lane. One makes the fields p, q, r of two rows a step; the other loads images two
// steps ahead, convolves the fields of the step before, five rows behind, and writes the gradient ten rows behind the
// input; s and d of those rows are still in shared memory. One barrier a step. A block has 1 or 4 such pairs of warps:
// a strip is 16 columns narrower than its pairs' 128 each, so what suits depends on the width.
#pragma once

#include <limits>

#include "stream_rows.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kTrainColumns = 4;                         // of a lane
inline constexpr int kBefore = Window<kTrainColumns>::kBefore;  // 8
inline constexpr int kMostPairs = 4;                            // that a multiprocessor holds, in one block or several
inline constexpr int kRing = 16;  // image rows: two steps ahead, ten rows behind two more steps
inline constexpr int kLag = 1;    // steps from the images to the gradient

struct Train {
  Work work;
  float c1, c2, scale;  // 2 C1 and 2 C2 in the scale of squared means; scale: from that of mean squares to that
  float gradient_scale;
  const float* weight;
  float* grad_x;
  MeanSum mean;
};

template <int kPairs>
struct TrainShared {
  static constexpr int kOwn = kPairs * kWarpColumns;
  float image[kRing][2][kOwn + 2 * kBefore];  // s and d of the last rows
  float field[2][2][3][kOwn];                 // even or odd step, row; p, q, r
  float gradient[kPairs][2][kWarpColumns];    // row: where rows are not made of vectors
  BlockMean mean;
};

/// Steps of a run, two rows each: of the image rows from 10 above to 10 below, and the lag.
__device__ inline int steps(const Run& run) { return (run.end - run.top + 4 * kHalo + 1) / 2 + kLag; }

/// Step i: statistics and fields of image rows top - 10 + 2 i and the one below. Gives the thread's sum of 1 - SSIM.
template <int kPairs>
__device__ __forceinline__ double make_fields(const Train& p, TrainShared<kPairs>& memory, int thread) {
  const Work& work = p.work;
  const int own = thread * kTrainColumns;
  double loss = 0;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    // Where a position does not count infinite constants make all that comes of it zero.
    const int column = run.left - kBefore + own;  // of the first field
    float c1[kTrainColumns], c2[kTrainColumns];
    unsigned mine = 0;
#pragma unroll
    for (int c = 0; c < kTrainColumns; ++c) {
      const bool counts = column + c >= work.margin && column + c < work.width - work.margin;
      c1[c] = counts ? p.c1 : std::numeric_limits<float>::infinity();
      c2[c] = counts ? p.c2 : std::numeric_limits<float>::infinity();
      mine |= static_cast<unsigned>(column + c >= run.left && column + c < run.right) << c;
    }
    const float pivot_mean = static_cast<float>(kScale) * find_pivot(work, run);
    float pending[4][kTrainColumns][10];
    clear(pending);
    sync_roles<64 * kPairs, Role::first>();  // the rows of step 0 are there
    const int last = steps(run);
    for (int i = 0; i < last;) {
      const int stage = i + 4 < last ? i + 4 : last;
      float part[kTrainColumns] = {};
#pragma unroll 1
      for (; i < stage; ++i) {
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          const auto& image = memory.image[(2 * i + k) % kRing];
          float ms[kTrainColumns], md[kTrainColumns], ess[kTrainColumns], edd[kTrainColumns];
          Window<kTrainColumns> window;
          window.load(&image[0][own]);
          push(window, pending[0], ms);
          window.square();
          push(window, pending[1], ess);
          window.load(&image[1][own]);
          push(window, pending[2], md);
          window.square();
          push(window, pending[3], edd);
          const int row = run.top - 3 * kHalo + 2 * i + k;
          const bool counts = row >= work.margin && row < work.height - work.margin;
          const bool adds = counts && row >= run.top && row < run.end;
          // Before row 10 of a run what follows is of no meaning, and nobody reads it.
          Vector<kTrainColumns> field[3];
#pragma unroll
          for (int c = 0; c < kTrainColumns; ++c) {
            // In the scale of squared means, twice A = a, twice B = b; u and v here are halves of those of pixel.hpp.
            const float level = ms[c] + pivot_mean, m = md[c] * md[c];
            const float a = fma(level, level, m + c1[c]);
            const float e = fma(p.scale, edd[c], -m);
            const float b = fma(-ms[c], ms[c], fma(p.scale, ess[c], c2[c])) + e;
            const float inverse_a = reciprocal_fast(a), inverse_b = reciprocal_fast(b);
            const float u = m * inverse_a, v = e * inverse_b;
            const float l = fma(-2.0f, u, 1.0f), t = l * inverse_b;
            const float r = t * v, q = r - t;
            const float g = fma(level, u, fma(md[c], u, -md[c])) * (fma(-2.0f, v, 1.0f) * inverse_a);
            field[0].v[c] = fma(-ms[c], r, fma(-md[c], q, g));
            field[1].v[c] = q;
            field[2].v[c] = r;
            if (adds) part[c] = fma(v, l, part[c] + u);
          }
          auto& made = memory.field[i % 2][k];
#pragma unroll
          for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&made[f][own]) = field[f];
          if (!counts) {
#pragma unroll
            for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(&made[f][own]) = {};
          }
        }
        sync_roles<64 * kPairs, Role::first>();
      }
      float sum = 0;  // fp64 is slow on many cards
#pragma unroll
      for (int c = 0; c < kTrainColumns; ++c) sum += mine >> c & 1 ? part[c] : 0.0f;
      loss += static_cast<double>(sum);
    }
  }
  return 2 * loss;
}

/// Four columns of one row of both images, kStride apart if not in a vector.
template <bool kVector>
struct Pixels {
  Vector<4> x, y;

  __device__ __forceinline__ void load(const float* from_x, const float* from_y, int stride, unsigned inside) {
    if constexpr (kVector) {
      if (inside) {
        x = *reinterpret_cast<const Vector<4>*>(from_x);
        y = *reinterpret_cast<const Vector<4>*>(from_y);
      } else {
        x = {};
        y = {};
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        x.v[i] = inside >> i & 1 ? load_readonly(from_x + i * stride) : 0.0f;
        y.v[i] = inside >> i & 1 ? load_readonly(from_y + i * stride) : 0.0f;
      }
    }
  }
  __device__ __forceinline__ void store(float* s, float* d, int stride, float pivot) const {
    if constexpr (kVector) {
      Vector<4> sum, difference;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sum.v[i] = (x.v[i] - pivot) + y.v[i];
        difference.v[i] = x.v[i] - y.v[i];
      }
      *reinterpret_cast<Vector<4>*>(s) = sum;
      *reinterpret_cast<Vector<4>*>(d) = difference;
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[i * stride] = (x.v[i] - pivot) + y.v[i];
        d[i * stride] = x.v[i] - y.v[i];
      }
    }
  }
};

/// Step i: stores the image rows of step i + 1, starts loading those of step i + 2, and turns the fields of step i - 1
/// into gradient rows.
template <bool kVector, int kPairs>
__device__ __forceinline__ void make_gradient(const Train& p, TrainShared<kPairs>& memory, int thread) {
  const Work& work = p.work;
  constexpr int kOwn = kPairs * kWarpColumns, kStride = 32 * kPairs;  // of a thread's columns if not in a vector
  const int own = kVector ? 4 * thread : thread;
  // The last 16 columns of both rows of a step are extra work for some.
  const int extra_row = kVector ? thread / 4 % 2 : thread / 16 % 2;
  const int extra_own = kOwn + (kVector ? 4 * (thread % 4) : thread % 16);
  const bool has_extra = thread < (kVector ? 8 : 32);
  const int lane = thread % 32, pair = thread / 32;
  constexpr int kLast = kOwn - Window<kTrainColumns>::kVectors * kTrainColumns;
  const int from = 4 * thread < kLast ? 4 * thread : kLast;  // columns beyond have no gradient
  const float scale = (p.weight ? *p.weight : 1.0f) * p.gradient_scale;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    const int first = run.left - 2 * kBefore;  // column of the image rows
    unsigned inside = 0;
#pragma unroll
    for (int i = 0; i < (kVector ? 1 : 4); ++i) {
      const int c = first + own + i * kStride;
      inside |= static_cast<unsigned>(c >= 0 && c < work.width) << i;
    }
    const bool extra_inside = has_extra && first + extra_own < work.width;
    int row = run.top - 2 * kHalo;
    const std::int64_t at = static_cast<std::int64_t>(row) * work.width + first;
    const float *from_x = run.x + at + own, *from_y = run.y + at + own;
    const std::int64_t to_extra = static_cast<std::int64_t>(extra_row) * work.width + extra_own - own;
    Pixels<kVector> pixels[2], extra;
    const auto load = [&] {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const bool row_inside = static_cast<unsigned>(row + k) < static_cast<unsigned>(work.height);
        pixels[k].load(from_x + k * static_cast<std::int64_t>(work.width),
                       from_y + k * static_cast<std::int64_t>(work.width), kStride, row_inside ? inside : 0);
      }
      if (has_extra) {
        const bool row_inside = static_cast<unsigned>(row + extra_row) < static_cast<unsigned>(work.height);
        extra.load(from_x + to_extra, from_y + to_extra, 0, row_inside && extra_inside);
      }
      row += 2;
      from_x += 2 * static_cast<std::int64_t>(work.width);
      from_y += 2 * static_cast<std::int64_t>(work.width);
    };
    load();
    const float pivot = find_pivot(work, run);
    const auto store = [&](int step) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        auto& image = memory.image[(2 * step + k) % kRing];
        pixels[k].store(&image[0][own], &image[1][own], kStride, pivot);
      }
      if (has_extra) {
        auto& image = memory.image[(2 * step + extra_row) % kRing];
        if constexpr (kVector) {
          extra.store(&image[0][extra_own], &image[1][extra_own], 0, pivot);
        } else {
          image[0][extra_own] = (extra.x.v[0] - pivot) + extra.y.v[0];
          image[1][extra_own] = extra.x.v[0] - extra.y.v[0];
        }
      }
    };
    // Of the gradient: what the thread writes. Begins ten rows above, where nothing is written.
    const int column = run.left + (kVector ? 4 * thread : pair * kWarpColumns + lane);
    float* to = p.grad_x + run.offset + static_cast<std::int64_t>(run.top - 2 * kHalo) * work.width + column;
    const unsigned rows = run.end - run.top;
    float pending[3][kTrainColumns][10];
    clear(pending);
    store(0);
    load();
    sync_roles<64 * kPairs, Role::second>();
    // Fields exist from image row 10 on.
    constexpr int kFirst = kHalo + kLag;
    for (int i = 0; i < kFirst; ++i) {
      store(i + 1);
      load();
      sync_roles<64 * kPairs, Role::second>();
    }
    const int last = steps(run);
#pragma unroll 1
    for (int i = kFirst; i < last; ++i) {
      store(i + 1);
      load();
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        float out[3][kTrainColumns];
        Window<kTrainColumns> window;
#pragma unroll
        for (int f = 0; f < 3; ++f) {
          window.load(&memory.field[(i + 1) % 2][k][f][from]);
          push(window, pending[f], out[f]);
        }
        const int index = 2 * (i - kFirst) + k;  // of the gradient's row among the image rows
        const auto& image = memory.image[index % kRing];
        const auto s = *reinterpret_cast<const Vector<kTrainColumns>*>(&image[0][2 * kBefore + from]);
        const auto d = *reinterpret_cast<const Vector<kTrainColumns>*>(&image[1][2 * kBefore + from]);
        Vector<kTrainColumns> gradient;
#pragma unroll
        for (int c = 0; c < kTrainColumns; ++c) {
          const float squares = fma(d.v[c], out[1][c], s.v[c] * out[2][c]);
          gradient.v[c] = scale * fma(static_cast<float>(1 / kScale), out[0][c], squares);
        }
        const bool inside_rows = static_cast<unsigned>(index - 2 * kHalo) < rows;
        if constexpr (kVector) {
          if (inside_rows && column < run.right) *reinterpret_cast<Vector<kTrainColumns>*>(to) = gradient;
        } else {
          // By way of shared memory, so that the lanes write side by side.
          auto& turned = memory.gradient[pair][k];
          *reinterpret_cast<Vector<kTrainColumns>*>(&turned[4 * lane]) = gradient;
          sync_warp();
#pragma unroll
          for (int c = 0; c < kTrainColumns; ++c) {
            if (inside_rows && column + 32 * c < run.right) to[32 * c] = turned[lane + 32 * c];
          }
        }
        to += work.width;
      }
      sync_roles<64 * kPairs, Role::second>();
    }
  }
}

template <bool kVector, int kPairs>
__global__ void __launch_bounds__(64 * kPairs, kMostPairs / kPairs) stream_train(const Train p) {
  auto& memory = shared<TrainShared<kPairs>>();
  // Of blocks of two warps that share a multiprocessor one half begins with the one kind and the other half with the
  // other, so that each scheduler gets one of either.
  const int thread = (threadIdx.x + (kPairs == 1 && blockIdx.x * 2 >= gridDim.x ? 32 : 0)) % (64 * kPairs);
  double loss = 0;
  if (thread < 32 * kPairs) {
    loss = make_fields(p, memory, thread);
  } else {
    make_gradient<kVector>(p, memory, thread - 32 * kPairs);
  }
  finish_mean<64 * kPairs>(loss, memory.mean, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
