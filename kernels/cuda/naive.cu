// SPDX-License-Identifier: MIT
// naive (CUDA): one thread a position, the window's 121 taps read straight from global memory, nothing shared.
//
// Idea: what one writes first. The forward kernel sums five statistics over 121 taps; for training it leaves three
// partials in the workspace and a second kernel convolves them, again over 121 taps.
// Cost: 660 (+ 396) FMA an element, 242 (+ 363) loads, nearly all from cache; 8 (44) bytes of DRAM an element.
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

__device__ bool counts(const Shape& shape, int row, int column) {
  return row >= shape.margin && row < shape.height - shape.margin && column >= shape.margin &&
         column < shape.width - shape.margin;
}

template <bool kTrain>
__global__ void __launch_bounds__(kThreads)
    naive_forward(Shape shape, const float* __restrict__ x, const float* __restrict__ y, float c1, float c2,
                  float* partials, MeanSum sum) {
  const std::int64_t elements = shape.planes * shape.height * shape.width;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  double loss = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += step) {
    const std::uint64_t line = static_cast<std::uint64_t>(i) / static_cast<unsigned>(shape.width);
    const int column = static_cast<int>(i - static_cast<std::int64_t>(line) * shape.width);
    const int row = static_cast<int>(line % static_cast<unsigned>(shape.height));
    Classic<float> at{1, 0, 0, 0};
    if (counts(shape, row, column)) {
      float m1 = 0, m2 = 0, e11 = 0, e22 = 0, e12 = 0;
      // Unrolled, so that the taps are immediates: an array indexed at run time would live in local memory.
#pragma unroll
      for (int dy = -kHalo; dy <= kHalo; ++dy) {
        if (row + dy < 0 || row + dy >= shape.height) continue;
        // A sum a row, then the sum of the rows: one long sum of 121 terms would round more.
        float row_m1 = 0, row_m2 = 0, row_e11 = 0, row_e22 = 0, row_e12 = 0;
#pragma unroll
        for (int dx = -kHalo; dx <= kHalo; ++dx) {
          if (column + dx < 0 || column + dx >= shape.width - (SSIM_DEFECT(halo_right) ? 1 : 0)) continue;
          const std::int64_t j = i + static_cast<std::int64_t>(dy) * shape.width + dx;
          const float w = tap(dx + kHalo), a = x[j],
                      b = y[SSIM_DEFECT(batch_ignored) ? j % (elements / shape.planes) : j];
          row_m1 += w * a;
          row_m2 += w * b;
          row_e11 += w * (a * a);
          row_e22 += w * (b * b);
          row_e12 += w * (a * b);
        }
        const float w = tap(dy + kHalo - (SSIM_DEFECT(vertical_tap_wrong) && dy == 1 ? 1 : 0));
        m1 += w * row_m1;
        m2 += w * row_m2;
        e11 += w * row_e11;
        e22 += w * row_e22;
        e12 += w * row_e12;
      }
      at = classic(m1, m2, e11, e22, e12, c1, c2);
    }
    if (SSIM_DEFECT(nan_swallowed) && !(at.value <= 1)) at.value = 1;
    loss += 1.0 - static_cast<double>(at.value);
    if (kTrain) {
      partials[i] = at.dm1;
      partials[i + elements] = at.de11;
      partials[i + 2 * elements] = SSIM_DEFECT(term_dropped) ? 0.0f : at.de12;
    }
  }
  finish_mean<kThreads>(loss, shared<BlockMean>(), sum);
}

__global__ void __launch_bounds__(kThreads)
    naive_backward(Shape shape, const float* __restrict__ x, const float* __restrict__ y, const float* weight,
                   float inverse_count, const float* __restrict__ partials, float* __restrict__ grad_x) {
  const std::int64_t elements = shape.planes * shape.height * shape.width;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  const float scale = (weight && !SSIM_DEFECT(weight_ignored) ? *weight : 1.0f) * inverse_count;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += step) {
    const std::uint64_t line = static_cast<std::uint64_t>(i) / static_cast<unsigned>(shape.width);
    const int column = static_cast<int>(i - static_cast<std::int64_t>(line) * shape.width);
    const int row = static_cast<int>(line % static_cast<unsigned>(shape.height));
    float p = 0, q = 0, r = 0;
#pragma unroll
    for (int dy = -kHalo; dy <= kHalo; ++dy) {
      if (row + dy < 0 || row + dy >= shape.height) continue;
      float row_p = 0, row_q = 0, row_r = 0;
#pragma unroll
      for (int dx = -kHalo; dx <= kHalo; ++dx) {
        if (column + dx < 0 || column + dx >= shape.width) continue;
        const std::int64_t j = i + static_cast<std::int64_t>(dy) * shape.width + dx;
        const float w = tap(dx + kHalo - (SSIM_DEFECT(window_off_by_one) && dx > -kHalo ? 1 : 0));
        row_p += w * partials[j];
        row_q += w * partials[j + elements];
        row_r += w * partials[j + 2 * elements];
      }
      const float w = tap(dy + kHalo);
      p += w * row_p;
      q += w * row_q;
      r += w * row_r;
    }
    const float before = SSIM_DEFECT(output_accumulated) ? grad_x[i] : 0.0f;
    grad_x[i] = scale * (p + 2 * x[i] * q + y[i] * r);
    if (SSIM_DEFECT(output_accumulated)) grad_x[i] += before;
    if (SSIM_DEFECT(zero_gradient)) grad_x[i] = 0;
    if (SSIM_DEFECT(write_past_end) && i == elements - 1) grad_x[elements] = 0;
    if (SSIM_DEFECT(input_modified) && i == elements / 2) const_cast<float*>(x)[i] = 0;
  }
}

// Enough blocks to fill any card.
unsigned blocks(const Problem& p) {
  const std::int64_t wanted = (p.elements() + kThreads - 1) / kThreads;
  return static_cast<unsigned>(wanted < 4096 ? wanted : 4096);
}

std::int64_t bytes(const Problem& p, Mode mode) {
  return kControlBytes + (mode == Mode::train ? 12 * p.elements() : 0);
}

Status run(const Problem& p, const Arguments& a, bool train) {
  const Shape shape{p.planes(), static_cast<int>(p.height), static_cast<int>(p.width),
                    p.padding == Padding::valid && !SSIM_DEFECT(padding_ignored) ? kHalo : 0};
  char* base = static_cast<char*>(a.workspace);
  float* partials = reinterpret_cast<float*>(base + kControlBytes);  // three fields of `elements` floats, train only
  const auto forward = train ? naive_forward<true> : naive_forward<false>;
  Status status = launch("naive_forward", forward, dim3(blocks(p)), dim3(kThreads), sizeof(BlockMean), a.stream, shape,
                         a.x, a.y, p.c1, SSIM_DEFECT(wrong_c2) ? 9.1e-4f : p.c2, partials, mean_sum(p, a, blocks(p)));
  if (!status || !train) return status;
  return launch("naive_backward", naive_backward, dim3(blocks(p)), dim3(kThreads), 0, a.stream, shape, a.x, a.y,
                a.weight, 1.0f / static_cast<float>(p.counted()), partials, a.grad_x);
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
            return Cost{n * (train ? 44 : 8), n * (train ? 1056 : 660), train ? 2 : 1};
          },
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
