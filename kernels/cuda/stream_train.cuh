// SPDX-License-Identifier: MIT
// stream (CUDA), value and gradient in one pass over the images.
//
// Half of a block's warps make the fields p, q, r of two rows a step, four columns a lane; the other half load images
// two steps ahead and convolve the fields of the step before, five rows behind, and write the gradient ten rows behind
// the input; s and d of those rows are still in shared memory. A block has 1 to kMostPairs warps of either kind: a strip
// is 16 columns narrower than its warps' 128 each, so what suits depends on the width.
#pragma once

#include <limits>

#include "stream_rows.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

inline constexpr int kTrainColumns = 4;
inline constexpr int kWarpColumns = 32 * kTrainColumns;
inline constexpr int kBefore = Window<kTrainColumns>::kBefore;  // 8
inline constexpr int kMostPairs = 4;                            // that a multiprocessor holds, in one block or several
inline constexpr int kTrainThreads = 64 * kMostPairs;
inline constexpr int kStep = 2;   // rows
inline constexpr int kRing = 16;  // rows; >= 3 kStep + 10, a power of two

struct Train {
  Work work;
  float c1, c2, scale;  // 2 C1 and 2 C2 in the scale of squared means; scale: from that of mean squares to that
  float gradient_scale;
  double count;
  const float* weight;
  float* grad_x;
  bool whole_vectors;  // every row of the gradient begins at a multiple of a vector and is made of such
  double* sums;
  unsigned* counter;
  double* mean;
};

/// Floats of a row of the images and of a field in shared memory, and where those begin.
SSIM_HOST_DEVICE constexpr int image_columns(int pairs) { return pairs * kWarpColumns + 2 * kBefore; }
SSIM_HOST_DEVICE constexpr int image_floats(int pairs) { return kRing * 2 * image_columns(pairs); }
SSIM_HOST_DEVICE constexpr int field_floats(int pairs) { return 2 * kStep * 3 * pairs * kWarpColumns; }

struct TrainShared {
  BlockMean mean;
  alignas(16) float rows[1];  // image: [ring][s or d][column]; fields: [step % 2][row][p, q, r][column]
};

/// Steps of a run, the two that the roles lag included: rows of the image from 10 above to 10 below.
__device__ inline int steps(const Run& run) { return (run.end - run.top + 4 * kHalo + kStep - 1) / kStep + 1; }

/// Step i: statistics and fields of image rows top - 10 + i kStep + k, k = 0 .. kStep - 1. Gives the thread's loss.
__device__ __forceinline__ double make_fields(const Train& p, const float* image, float* fields, int thread, int pairs) {
  const Work& work = p.work;
  const int image_row = 2 * image_columns(pairs), field_row = pairs * kWarpColumns;
  double loss = 0;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    const int column = run.left - kBefore + thread * kTrainColumns;  // of the first field
    // Where a position does not count infinite constants make all that comes of it zero.
    float c1[kTrainColumns], c2[kTrainColumns];
    unsigned own = 0;
#pragma unroll
    for (int c = 0; c < kTrainColumns; ++c) {
      const bool counts = column + c >= work.margin && column + c < work.width - work.margin;
      c1[c] = counts ? p.c1 : std::numeric_limits<float>::infinity();
      c2[c] = counts ? p.c2 : std::numeric_limits<float>::infinity();
      own |= static_cast<unsigned>(column + c >= run.left && column + c < run.right) << c;
    }
    const float pivot = find_pivot(work, run);
    const float pivot_mean = static_cast<float>(kScale) * pivot;
    float pending[4][kTrainColumns][10];
    clear(pending);
    sync_block();  // the rows of step 0 are there
    const int last = steps(run);
#pragma unroll 1
    for (int i = 0; i < last; ++i) {
      float part[kTrainColumns] = {};
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
        const int index = i * kStep + k;                      // of the image row
        const int row = run.top - 2 * kHalo + index - kHalo;  // of the fields
        const float* s = image + index % kRing * image_row + thread * kTrainColumns;
        const float* d = s + image_columns(pairs);
        float ms[kTrainColumns], md[kTrainColumns], ess[kTrainColumns], edd[kTrainColumns];
        Window<kTrainColumns> window;
        window.load(s);
        push(window, pending[0], ms);
        window.square();
        push(window, pending[1], ess);
        window.load(d);
        push(window, pending[2], md);
        window.square();
        push(window, pending[3], edd);
        // Before row 10 of a run what follows is of no meaning, and nobody reads it.
        float* to = fields + (i % 2 * kStep + k) * 3 * field_row + thread * kTrainColumns;
        const auto store = [&](const Vector<kTrainColumns>(&field)[3]) {
#pragma unroll
          for (int f = 0; f < 3; ++f) *reinterpret_cast<Vector<kTrainColumns>*>(to + f * field_row) = field[f];
        };
        const bool row_counts = row >= work.margin && row < work.height - work.margin;
        const bool row_own = row_counts && row >= run.top && row < run.end;
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
          if (row_own) part[c] = fma(v, l, part[c] + u);
        }
        store(field);
        if (!row_counts) store({});
      }
      float sum = 0;
#pragma unroll
      for (int c = 0; c < kTrainColumns; ++c) sum += own >> c & 1 ? part[c] : 0.0f;
      loss += static_cast<double>(sum);
      sync_block();
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
template <bool kVector>
__device__ __forceinline__ void make_gradient(const Train& p, float* image, const float* fields, int thread, int pairs) {
  const Work& work = p.work;
  const int columns = image_columns(pairs), field_row = pairs * kWarpColumns;
  const int stride = 32 * pairs;  // of a thread's columns in the image if rows are not made of vectors
  const int own = kVector ? 4 * thread : thread;
  // The last 16 columns of both rows of a step are extra work for some.
  const int extra_row = kVector ? thread / 4 % 2 : thread / 16;
  const int extra_own = field_row + (kVector ? 4 * (thread % 4) : thread % 16);
  const bool has_extra = thread < (kVector ? 8 : 32);
  const float scale = (p.weight ? *p.weight : 1.0f) * p.gradient_scale;
  Run run;
  for (int done = 0; next_run(work, blockIdx.x, done, run);) {
    const int first = run.left - 2 * kBefore;  // column of the image rows
    unsigned inside = 0;
#pragma unroll
    for (int i = 0; i < (kVector ? 1 : 4); ++i) {
      const int c = first + own + i * stride;
      inside |= static_cast<unsigned>(c >= 0 && c < work.width) << i;
    }
    const bool extra_inside = has_extra && first + extra_own < work.width;
    int row = run.top - 2 * kHalo;
    const std::int64_t at = run.offset + static_cast<std::int64_t>(row) * work.width + first;
    const float *from_x = work.x + at + own, *from_y = work.y + at + own;
    const std::int64_t to_extra = static_cast<std::int64_t>(extra_row) * work.width + extra_own - own;
    Pixels<kVector> pixels[kStep], extra;
    const auto load = [&] {
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
        const bool row_inside = static_cast<unsigned>(row + k) < static_cast<unsigned>(work.height);
        pixels[k].load(from_x + k * static_cast<std::int64_t>(work.width),
                       from_y + k * static_cast<std::int64_t>(work.width), stride, row_inside ? inside : 0);
      }
      if (has_extra) {
        const bool row_inside = static_cast<unsigned>(row + extra_row) < static_cast<unsigned>(work.height);
        extra.load(from_x + to_extra, from_y + to_extra, 0, row_inside && extra_inside);
      }
      row += kStep;
      from_x += kStep * static_cast<std::int64_t>(work.width);
      from_y += kStep * static_cast<std::int64_t>(work.width);
    };
    const float pivot = find_pivot(work, run);
    const auto store = [&](int step) {
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
        float* s = image + (step * kStep + k) % kRing * 2 * columns;
        pixels[k].store(s + own, s + columns + own, stride, pivot);
      }
      if (has_extra) {
        float* s = image + (step * kStep + extra_row) % kRing * 2 * columns + extra_own;
        if constexpr (kVector) {
          extra.store(s, s + columns, 0, pivot);
        } else {
          s[0] = (extra.x.v[0] - pivot) + extra.y.v[0];
          s[columns] = extra.x.v[0] - extra.y.v[0];
        }
      }
    };
    const int column = run.left + thread * kTrainColumns;  // of the gradient
    float* to = p.grad_x + run.offset + static_cast<std::int64_t>(run.top) * work.width + column;
    float pending[3][kTrainColumns][10];
    clear(pending);
    load();
    store(0);
    load();
    sync_block();
    const int last = steps(run);
#pragma unroll 1
    for (int i = 0; i < last; ++i) {
      store(i + 1);
      load();
      // Fields exist from image row 10 on.
      if (column < run.right && i * kStep >= 2 * kHalo + kStep) {
#pragma unroll
        for (int k = 0; k < kStep; ++k) {
          const float* field = fields + ((i + 1) % 2 * kStep + k) * 3 * field_row + thread * kTrainColumns;
          float out[3][kTrainColumns];
          Window<kTrainColumns> window;
#pragma unroll
          for (int f = 0; f < 3; ++f) {
            window.load(field + f * field_row);
            push(window, pending[f], out[f]);
          }
          const int index = (i - 1) * kStep + k - 2 * kHalo;  // of the gradient's row among the image rows
          const int behind = index - 2 * kHalo;               // and among the gradient rows
          const float* at_s = image + index % kRing * 2 * columns + 2 * kBefore + thread * kTrainColumns;
          const auto s = *reinterpret_cast<const Vector<kTrainColumns>*>(at_s);
          const auto d = *reinterpret_cast<const Vector<kTrainColumns>*>(at_s + columns);
          Vector<kTrainColumns> gradient;
#pragma unroll
          for (int c = 0; c < kTrainColumns; ++c) {
            const float squares = fma(d.v[c], out[1][c], s.v[c] * out[2][c]);
            gradient.v[c] = scale * fma(static_cast<float>(1 / kScale), out[0][c], squares);
          }
          const bool inside = static_cast<unsigned>(behind) < static_cast<unsigned>(run.end - run.top);
          if (inside && p.whole_vectors) *reinterpret_cast<Vector<kTrainColumns>*>(to) = gradient;
          if (inside && !p.whole_vectors) {
#pragma unroll
            for (int c = 0; c < kTrainColumns; ++c) {
              if (column + c < run.right) to[c] = gradient.v[c];
            }
          }
          to += inside ? work.width : 0;
        }
      }
      sync_block();
    }
  }
}

template <bool kVector>
__global__ void __launch_bounds__(kTrainThreads, 1) stream_train(const Train p) {
  auto& memory = shared<TrainShared>();
  const int threads = static_cast<int>(blockDim.x), half = threads / 2, pairs = threads / 64;
  float* image = memory.rows;
  float* fields = memory.rows + image_floats(pairs);
  // Of the blocks that share a multiprocessor half begin with the one kind of warp and half with the other, so that each
  // of its four schedulers gets as many of either.
  const int thread = (threadIdx.x + (blockIdx.x * 2 >= gridDim.x ? half : 0)) % threads;
  double loss = 0;
  if (thread < half) {
    loss = make_fields(p, image, fields, thread, pairs);
  } else {
    make_gradient<kVector>(p, image, fields, thread - half, pairs);
  }
  finish_mean<0>(loss, memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
