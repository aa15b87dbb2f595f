// SPDX-License-Identifier: MIT
// tiled (CUDA): the published fused design, written anew from its description, as its stand-in in comparisons.
//
// Idea (rahul-goel/fused-ssim since its pull request 11, by MrNeRF): 16x16 tiles, one pixel a thread, 32 registers.
// The tile and its halo of 5 lie in shared memory (26x26x2), a horizontal pass leaves five statistics of 26x16
// positions in shared memory, a vertical pass gives each thread its pixel. Channels are a loop inside the block. The
// forward kernel writes the SSIM map and, for training, the three partials; the backward kernel convolves dL * partials
// in the same two passes.
//
// To be a fair stand-in it makes the passes over memory that a training step of the published package makes, those of
// PyTorch around its kernels included. Bytes an element (R read, W write):
//   infer         zero the map W4 · forward R8 W4 · mean of the map R4                                            = 20
//   train, same   zero the map and the partials W16 · forward R8 W16 · mean R4 · dL map from the weight W4 ·
//                 zero the gradient W4 · backward R24 (dL, partials, images) W4                                   = 80
//   train, valid  the same, the mean over the interior; dL of the interior first W4, zeros for the whole W4, copy
//                 of the interior R4 W4, instead of W4                                                            = 92
// Shared memory carries ~99 floats an element forward and ~91 backward, which is what bounds it where DRAM is fast.
// What differs: 64-bit sizes, any grid, the caller's stream, a deterministic mean in fp64, and workspace instead of
// allocations.
// Run: ./suite test --filter 'cuda.*:tiled' ; ./suite profile tiled
#include <algorithm>
#include <limits>

#include "../implementation.hpp"
#include "../pixel.hpp"
#include "../window.hpp"
#include "block_mean.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

constexpr int kTile = 16;
constexpr int kThreads = kTile * kTile;
constexpr int kBlocks = kResidentThreads / kThreads;  // 32 registers a thread where 2048 fit, as published
constexpr int kExtent = kTile + 2 * kHalo;            // 26
constexpr std::int64_t kFillBlocks = 132 * 8;  // of the kernels that only pass over memory; fixed, so sums are too

struct Shape {
  std::int64_t plane_size;
  int channels, height, width;
  unsigned tiles_x, tiles_y;
};

// Where the block's tile begins: its image's first plane, and the position in each plane.
struct Corner {
  std::int64_t plane;
  int row, column;
};

// Tiles of all images are numbered along blockIdx.x, the only index of a grid that may pass 65535.
__device__ Corner find_corner(const Shape& shape) {
  const unsigned tile_row = blockIdx.x / shape.tiles_x;
  const unsigned image = tile_row / shape.tiles_y;
  return {static_cast<std::int64_t>(image) * shape.channels * shape.plane_size,
          static_cast<int>(tile_row - image * shape.tiles_y) * kTile,
          static_cast<int>(blockIdx.x - tile_row * shape.tiles_x) * kTile};
}

struct FastReciprocal {
  __device__ float operator()(float v) const { return reciprocal_fast(v); }
};

struct ForwardShared {
  float image[kExtent][kExtent][2];
  float statistic[kExtent][kTile][5];
};

struct BackwardShared {
  float field[3][kExtent][kExtent];
  float convolved[kExtent][kTile][3];
};

// Five statistics of 11 pixels along a row.
__device__ void convolve_row(const float (*pixel)[2], float* statistic) {
  float m1 = 0, m2 = 0, e11 = 0, e22 = 0, e12 = 0;
#pragma unroll
  for (int k = 0; k < kHalo; ++k) {
    const float w = tap(k);
    const float lx = pixel[k][0], ly = pixel[k][1], rx = pixel[10 - k][0], ry = pixel[10 - k][1];
    m1 += (lx + rx) * w;
    m2 += (ly + ry) * w;
    e11 += (lx * lx + rx * rx) * w;
    e22 += (ly * ly + ry * ry) * w;
    e12 += (lx * ly + rx * ry) * w;
  }
  const float w = tap(SSIM_DEFECT(tap_wrong) ? 4 : kHalo), x = pixel[kHalo][0], y = pixel[kHalo][1];
  statistic[0] = m1 + x * w;
  statistic[1] = m2 + y * w;
  statistic[2] = e11 + x * x * w;
  statistic[3] = e22 + y * y * w;
  statistic[4] = e12 + x * y * w;
}

template <bool kTrain>
__global__ void __launch_bounds__(kThreads, kBlocks)
    tiled_forward(Shape shape, const float* __restrict__ x, const float* __restrict__ y, float c1, float c2,
                  float* __restrict__ map, float* __restrict__ partials, std::int64_t field_stride) {
  auto& tile = shared<ForwardShared>();
  const int thread = threadIdx.y * kTile + threadIdx.x;
  const Corner corner = find_corner(shape);
  const int row = corner.row + threadIdx.y, column = corner.column + threadIdx.x;
  std::int64_t plane = corner.plane;
  for (int channel = 0; channel < shape.channels; ++channel, plane += shape.plane_size) {
#pragma unroll 1  // or 32 registers are too few on some cards
    for (int i = thread; i < kExtent * kExtent; i += kThreads) {
      const int in_row = i / kExtent, in_column = i % kExtent;
      const int r = corner.row + in_row - kHalo, c = corner.column + in_column - kHalo;
      const bool inside = r >= 0 && r < shape.height && c >= 0 && c < shape.width &&
                          !(SSIM_DEFECT(halo_right) && in_column == kExtent - 1);
      const std::int64_t j = plane + static_cast<std::int64_t>(r) * shape.width + c;
      tile.image[in_row][in_column][0] = inside ? x[j] : 0.0f;
      tile.image[in_row][in_column][1] = inside ? y[SSIM_DEFECT(batch_ignored) ? j - plane : j] : 0.0f;
    }
    if (!SSIM_DEFECT(barrier_missing)) sync_block();
    for (int i = threadIdx.y; i < kExtent; i += kTile) {
      convolve_row(&tile.image[i][threadIdx.x], tile.statistic[i][threadIdx.x]);
    }
    sync_block();
    if (row < shape.height && column < shape.width) {
      float sum[5] = {};
#pragma unroll
      for (int k = 0; k < kHalo; ++k) {
        const float* above = tile.statistic[threadIdx.y + k][threadIdx.x];
        const float* below = tile.statistic[threadIdx.y + 10 - k][threadIdx.x];
#pragma unroll
        for (int s = 0; s < 5; ++s) sum[s] += (above[s] + below[s]) * tap(k);
      }
      const float* centre = tile.statistic[threadIdx.y + kHalo][threadIdx.x];
#pragma unroll
      for (int s = 0; s < 5; ++s) sum[s] += centre[s] * tap(SSIM_DEFECT(vertical_tap_wrong) ? 4 : kHalo);
      const auto at = classic(sum[0], sum[1], sum[2], sum[3], sum[4], c1, c2, FastReciprocal{});
      const std::int64_t j = plane + static_cast<std::int64_t>(row) * shape.width + column;
      map[j] = at.value;
      if (kTrain) {
        partials[j] = at.dm1;
        partials[j + field_stride] = SSIM_DEFECT(term_dropped) ? 0.0f : at.de11;
        partials[j + 2 * field_stride] = at.de12;
      }
    }
    // The next round writes image after the barrier behind the horizontal pass of this one, and statistic after
    // the barrier behind its own loads, by which every thread has left the vertical pass.
  }
}

__global__ void __launch_bounds__(kThreads, kBlocks)
    tiled_backward(Shape shape, const float* __restrict__ x, const float* __restrict__ y,
                   const float* __restrict__ gradient_map, const float* __restrict__ partials,
                   std::int64_t field_stride, float* __restrict__ grad_x) {
  auto& tile = shared<BackwardShared>();
  const int thread = threadIdx.y * kTile + threadIdx.x;
  const Corner corner = find_corner(shape);
  const int row = corner.row + threadIdx.y, column = corner.column + threadIdx.x;
  std::int64_t plane = corner.plane;
  for (int channel = 0; channel < shape.channels; ++channel, plane += shape.plane_size) {
    for (int i = thread; i < kExtent * kExtent; i += kThreads) {
      const int in_row = i / kExtent, in_column = i % kExtent;
      const int r = corner.row + in_row - kHalo, c = corner.column + in_column - kHalo;
      const bool inside = r >= 0 && r < shape.height && c >= 0 && c < shape.width;
      const std::int64_t j = plane + static_cast<std::int64_t>(r) * shape.width + c;
      const float chain = inside ? gradient_map[j] : 0.0f;
#pragma unroll
      for (int f = 0; f < 3; ++f) {
        tile.field[f][in_row][in_column] =
            inside ? partials[(SSIM_DEFECT(partials_row_off) && r > 0 ? j - shape.width : j) + f * field_stride] * chain
                   : 0.0f;
      }
    }
    sync_block();
    for (int i = threadIdx.y; i < kExtent; i += kTile) {
#pragma unroll
      for (int f = 0; f < 3; ++f) {
        const float* at = &tile.field[f][i][threadIdx.x];
        float sum = 0;
#pragma unroll
        for (int k = 0; k < kHalo; ++k) sum += (at[k] + at[10 - k]) * tap(k);
        tile.convolved[i][threadIdx.x][f] = sum + at[kHalo] * tap(kHalo);
      }
    }
    sync_block();
    if (row < shape.height - (SSIM_DEFECT(gradient_row_skipped) ? 1 : 0) && column < shape.width) {
      float sum[3] = {};
#pragma unroll
      for (int k = 0; k < kHalo; ++k) {
        const float* above = tile.convolved[threadIdx.y + k][threadIdx.x];
        const float* below = tile.convolved[threadIdx.y + 10 - k][threadIdx.x];
#pragma unroll
        for (int f = 0; f < 3; ++f) sum[f] += (above[f] + below[f]) * tap(k);
      }
      const float* centre = tile.convolved[threadIdx.y + kHalo][threadIdx.x];
#pragma unroll
      for (int f = 0; f < 3; ++f) sum[f] += centre[f] * tap(kHalo);
      const std::int64_t j = plane + static_cast<std::int64_t>(row) * shape.width + column;
      grad_x[j] = sum[0] + 2.0f * x[j] * sum[1] + y[SSIM_DEFECT(wrong_plane_partials) ? j - plane : j] * sum[2];
    }
  }
}

// One warp a row of the interior; in the other padding the planes are one array, cut into rows of kRun.
constexpr int kRun = 2048;

struct Rows {
  std::int64_t rows, rows_per_plane, plane_stride, length, total;  // total: floats from start to the end of the array
  int row_stride, start;
};

Rows counted_rows(const Problem& p) {
  if (p.padding == Padding::valid) {
    return {p.planes() * p.counted_height(),
            p.counted_height(),
            p.plane_size(),
            p.counted_width(),
            p.elements(),
            static_cast<int>(p.width),
            static_cast<int>(kHalo * p.width + kHalo - (SSIM_DEFECT(valid_border_off) ? 1 : 0))};
  }
  const std::int64_t rows = (p.elements() + kRun - 1) / kRun;
  return {rows, rows, 0, kRun, p.elements(), kRun, 0};
}

__global__ void __launch_bounds__(kThreads) tiled_mean(Rows view, const float* __restrict__ map, MeanSum sum) {
  const int lane = threadIdx.x % 32;
  double loss = 0;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * (kThreads / 32);
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32; row < view.rows;
       row += step) {
    const std::int64_t plane = row / view.rows_per_plane;
    const std::int64_t from =
        plane * view.plane_stride + (row - plane * view.rows_per_plane) * view.row_stride + view.start;
    const std::int64_t left = view.total - from;
    const int length = static_cast<int>(left < view.length ? left : view.length) - (SSIM_DEFECT(tail_columns) ? 1 : 0);
    for (int i = lane; i < length; i += 4 * 32) {
      float part[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) part[k] = i + 32 * k < length ? 1.0f - map[from + i + 32 * k] : 0.0f;
      loss += static_cast<double>((part[0] + part[1]) + (part[2] + part[3]));
    }
  }
  finish_mean<kThreads>(loss, shared<BlockMean>(), sum);
}

// dL map: every counted position gets weight / count.
__global__ void __launch_bounds__(kThreads)
    tiled_expand(const float* weight, float inverse_count, std::int64_t size, float* __restrict__ to) {
  const float value = (weight ? *weight * (SSIM_DEFECT(weight_squared) ? *weight : 1.0f) : 1.0f) * inverse_count;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < size; i += step) {
    to[i] = value;
  }
}

// to[interior] = from, which is dense.
__global__ void __launch_bounds__(kThreads)
    tiled_place(Rows view, const float* __restrict__ from, float* __restrict__ to) {
  const int lane = threadIdx.x % 32;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * (kThreads / 32);
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32; row < view.rows;
       row += step) {
    const std::int64_t plane = row / view.rows_per_plane;
    const std::int64_t start =
        plane * view.plane_stride + (row - plane * view.rows_per_plane) * view.row_stride + view.start;
    for (std::int64_t i = lane; i < view.length; i += 32) to[start + i] = from[row * view.length + i];
  }
}

std::int64_t rounded(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

unsigned fill_blocks(std::int64_t size) {
  const std::int64_t wanted = (size + 1023) / 1024;
  return static_cast<unsigned>(wanted < kFillBlocks ? wanted : kFillBlocks);
}

std::int64_t tiles(std::int64_t size) { return (size + kTile - 1) / kTile; }

std::string supports(const Problem& p, Mode) {
  constexpr std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  if (p.channels > limit) return "more than 2^31 - 1 channels";
  if (p.batch > limit || p.batch * tiles(p.height) > limit || p.batch * tiles(p.height) * tiles(p.width) > limit) {
    return "more than 2^31 - 1 tiles of 16x16";
  }
  return "";
}

struct Workspace {
  float *map, *partials, *gradient_map, *interior;
  std::int64_t field_stride, bytes;
};

Workspace lay_out(const Problem& p, bool train, void* workspace) {
  char* base = static_cast<char*>(workspace);
  const std::int64_t field = rounded(4 * p.elements());
  std::int64_t at = kControlBytes;
  const auto take = [&](std::int64_t bytes) {
    const std::int64_t from = at;
    at += rounded(bytes);
    return base + from;
  };
  Workspace w{};
  w.field_stride = field / 4;
  w.map = reinterpret_cast<float*>(take(field));
  if (train) {
    w.partials = reinterpret_cast<float*>(take(3 * field));
    w.gradient_map = reinterpret_cast<float*>(take(field));
    if (p.padding == Padding::valid) w.interior = reinterpret_cast<float*>(take(4 * p.counted()));
  }
  w.bytes = at;
  return w;
}

Status run(const Problem& p, const Arguments& a, bool train) {
  const Workspace w = lay_out(p, train, a.workspace);
  const bool valid = p.padding == Padding::valid;
  const Shape shape{p.plane_size(),
                    static_cast<int>(p.channels),
                    static_cast<int>(p.height),
                    static_cast<int>(p.width),
                    static_cast<unsigned>(tiles(p.width)),
                    static_cast<unsigned>(tiles(p.height))};
  const std::int64_t blocks = p.batch * tiles(p.height) * tiles(p.width);
  const dim3 grid(static_cast<unsigned>(SSIM_DEFECT(grid_limit) ? std::min<std::int64_t>(blocks, 7) : blocks));
  const dim3 block(kTile, kTile);
  const std::size_t field_bytes = static_cast<std::size_t>(4 * p.elements());

  if (Status s = fill_zero(w.map, field_bytes, a.stream); !s) return s;
  for (int f = 0; train && f < 3; ++f) {
    if (Status s = fill_zero(w.partials + f * w.field_stride, field_bytes, a.stream); !s) return s;
  }
  if (Status s = launch("tiled_forward", train ? tiled_forward<true> : tiled_forward<false>, grid, block,
                        sizeof(ForwardShared), a.stream, shape, a.x, a.y, SSIM_DEFECT(wrong_c1) ? p.c2 : p.c1,
                        SSIM_DEFECT(constants_fixed) ? 9e-4f : p.c2, w.map, w.partials, w.field_stride);
      !s) {
    return s;
  }
  const Rows view = counted_rows(p);
  if (Status s = launch("tiled_mean", tiled_mean, dim3(fill_blocks(p.elements())), dim3(kThreads), sizeof(BlockMean),
                        a.stream, view, w.map, mean_sum(p, a, fill_blocks(p.elements())));
      !s || !train) {
    return s;
  }

  if (Status s =
          launch("tiled_expand", tiled_expand, dim3(fill_blocks(p.counted())), dim3(kThreads), 0, a.stream, a.weight,
                 1.0f / static_cast<float>(p.counted()), p.counted(), valid ? w.interior : w.gradient_map);
      !s) {
    return s;
  }
  if (valid) {
    if (Status s = fill_zero(w.gradient_map, field_bytes, a.stream); !s) return s;
    if (Status s = launch("tiled_place", tiled_place, dim3(fill_blocks(p.counted())), dim3(kThreads), 0, a.stream, view,
                          w.interior, w.gradient_map);
        !s) {
      return s;
    }
  }
  if (Status s = fill_zero(a.grad_x, field_bytes, a.stream); !s) return s;
  return launch("tiled_backward", tiled_backward, grid, block, sizeof(BackwardShared), a.stream, shape, a.x, a.y,
                w.gradient_map, w.partials, w.field_stride, a.grad_x);
}

}  // namespace

Implementation tiled() {
  return {
      .name = "tiled",
      .idea = "the published fused design: 16x16 tiles in shared memory, a pixel a thread, partials saved",
      .device = kDevice,
      .tile = {kTile, kTile},
      .basis = Basis::classic,
      .supports = supports,
      .workspace_bytes = [](const Problem& p, Mode mode) { return lay_out(p, mode == Mode::train, nullptr).bytes; },
      .value = [](const Problem& p, const Arguments& a) { return run(p, a, false); },
      .value_and_grad = [](const Problem& p, const Arguments& a) { return run(p, a, true); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const double interior = p.padding == Padding::valid ? static_cast<double>(p.counted()) : 0;
            // The horizontal pass covers the halo rows too: 26 for 16.
            const double taps = 11 * (1 + static_cast<double>(kExtent) / kTile);
            if (mode == Mode::infer) return Cost{20 * n, 5 * taps * n, 3};
            return Cost{80 * n + 12 * interior, 8 * taps * n, interior > 0 ? 12 : 10};
          },
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
