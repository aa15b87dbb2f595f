// SPDX-License-Identifier: MIT
// naive (CUDA): one thread a position, the window's 121 taps read straight from global memory, nothing shared.
//
// Idea: what one writes first. The forward kernel sums five statistics over 121 taps; for training it leaves three
// partials in the workspace and a second kernel convolves them, again over 121 taps.
// Cost: 605 (+ 363) FMA an element and as many loads, nearly all from cache; 8 (44) bytes of DRAM an element.
// Run: ./suite test --filter 'cuda.*:naive' ; ./suite profile naive
#include "../implementation.hpp"
#include "../pixel.hpp"
#include "../window.hpp"
#include "block_mean.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

struct Shape {
  std::int64_t planes;
  int height, width, margin;  // margin: positions closer than this to the edge do not count
};

struct Workspace {
  unsigned* counter;
  double* sums;
  float* partials;  // three fields of `elements` floats, train only
};

__device__ bool counts(const Shape& shape, int row, int column) {
  return row >= shape.margin && row < shape.height - shape.margin && column >= shape.margin &&
         column < shape.width - shape.margin;
}

template <bool kTrain>
__global__ void __launch_bounds__(kThreads)
    naive_forward(Shape shape, const float* __restrict__ x, const float* __restrict__ y, float c1, float c2,
                  double count, Workspace workspace, double* mean) {
  const std::int64_t plane_size = static_cast<std::int64_t>(shape.height) * shape.width;
  const std::int64_t elements = shape.planes * plane_size;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  double loss = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += step) {
    const std::int64_t plane = i / plane_size;
    const int row = static_cast<int>((i - plane * plane_size) / shape.width);
    const int column = static_cast<int>((i - plane * plane_size) % shape.width);
    Classic<float> at{1, 0, 0, 0};
    if (counts(shape, row, column)) {
      float m1 = 0, m2 = 0, e11 = 0, e22 = 0, e12 = 0;
      // Unrolled, so that the taps are immediates: an array indexed at run time would live in local memory.
#pragma unroll
      for (int dy = -kHalo; dy <= kHalo; ++dy) {
#pragma unroll
        for (int dx = -kHalo; dx <= kHalo; ++dx) {
          const int r = row + dy, c = column + dx;
          if (r < 0 || r >= shape.height || c < 0 || c >= shape.width) continue;
          const std::int64_t j = plane * plane_size + static_cast<std::int64_t>(r) * shape.width + c;
          const float w = tap(dy + kHalo) * tap(dx + kHalo), a = x[j], b = y[j];
          m1 += w * a;
          m2 += w * b;
          e11 += w * a * a;
          e22 += w * b * b;
          e12 += w * a * b;
        }
      }
      at = classic(m1, m2, e11, e22, e12, c1, c2);
    }
    loss += 1.0 - static_cast<double>(at.value);
    if (kTrain) {
      workspace.partials[i] = at.dm1;
      workspace.partials[i + elements] = at.de11;
      workspace.partials[i + 2 * elements] = at.de12;
    }
  }
  finish_mean<kThreads>(loss, shared<BlockMean>(), workspace.sums, workspace.counter, count, mean);
}

__global__ void __launch_bounds__(kThreads)
    naive_backward(Shape shape, const float* __restrict__ x, const float* __restrict__ y, const float* weight,
                   float inverse_count, const float* __restrict__ partials, float* __restrict__ grad_x) {
  const std::int64_t plane_size = static_cast<std::int64_t>(shape.height) * shape.width;
  const std::int64_t elements = shape.planes * plane_size;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const float scale = (weight ? *weight : 1.0f) * inverse_count;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += step) {
    const std::int64_t plane = i / plane_size;
    const int row = static_cast<int>((i - plane * plane_size) / shape.width);
    const int column = static_cast<int>((i - plane * plane_size) % shape.width);
    float p = 0, q = 0, r = 0;
#pragma unroll
    for (int dy = -kHalo; dy <= kHalo; ++dy) {
#pragma unroll
      for (int dx = -kHalo; dx <= kHalo; ++dx) {
        const int from_row = row + dy, from_column = column + dx;
        if (from_row < 0 || from_row >= shape.height || from_column < 0 || from_column >= shape.width) continue;
        const std::int64_t j = plane * plane_size + static_cast<std::int64_t>(from_row) * shape.width + from_column;
        const float w = tap(dy + kHalo) * tap(dx + kHalo);
        p += w * partials[j];
        q += w * partials[j + elements];
        r += w * partials[j + 2 * elements];
      }
    }
    grad_x[i] = scale * (p + 2 * x[i] * q + y[i] * r);
  }
}

// Enough blocks to fill any card; more would only lengthen the list of sums.
unsigned blocks(const Problem& p) {
  const std::int64_t wanted = (p.elements() + kThreads - 1) / kThreads;
  return static_cast<unsigned>(wanted < 4096 ? wanted : 4096);
}

std::int64_t sums_bytes(const Problem& p) { return (blocks(p) * 8 + 255) / 256 * 256; }

std::int64_t bytes(const Problem& p, Mode mode) {
  return kControlBytes + sums_bytes(p) + (mode == Mode::train ? 12 * p.elements() : 0);
}

Status run(const Problem& p, const Arguments& a, bool train) {
  const Shape shape{p.planes(), static_cast<int>(p.height), static_cast<int>(p.width),
                    p.padding == Padding::valid ? kHalo : 0};
  char* base = static_cast<char*>(a.workspace);
  const Workspace workspace{reinterpret_cast<unsigned*>(base), reinterpret_cast<double*>(base + kControlBytes),
                            reinterpret_cast<float*>(base + kControlBytes + sums_bytes(p))};
  const auto forward = train ? naive_forward<true> : naive_forward<false>;
  Status status = launch("naive_forward", forward, dim3(blocks(p)), dim3(kThreads), sizeof(BlockMean), a.stream, shape,
                         a.x, a.y, p.c1, p.c2, static_cast<double>(p.counted()), workspace, a.mean);
  if (!status || !train) return status;
  return launch("naive_backward", naive_backward, dim3(blocks(p)), dim3(kThreads), 0, a.stream, shape, a.x, a.y,
                a.weight, 1.0f / static_cast<float>(p.counted()), workspace.partials, a.grad_x);
}

}  // namespace

Implementation naive() {
  return {
      .name = "naive",
      .idea = "one thread a position, 121 taps from global memory",
      .device = kDevice,
      .tile = {},
      .basis = Basis::classic,
      .supports = [](const Problem&, Mode) -> std::string { return ""; },
      .workspace_bytes = bytes,
      .value = [](const Problem& p, const Arguments& a) { return run(p, a, false); },
      .value_and_grad = [](const Problem& p, const Arguments& a) { return run(p, a, true); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const bool train = mode == Mode::train;
            return Cost{n * (train ? 44 : 8), n * (train ? 968 : 605), train ? 2 : 1};
          },
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
