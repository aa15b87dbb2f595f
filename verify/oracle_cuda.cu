// SPDX-License-Identifier: MIT
// The window is computed on the host, in this file, and passed by value. Sums are taken block by block and finished on
// the host, in a fixed order.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "oracle_cuda.hpp"
#include "random.hpp"

namespace ssim::verify::cuda {
namespace {

constexpr int kThreads = 256, kBlocks = 2048, kReach = 5, kSize = 11;

struct Window {
  double w[kSize * kSize];
};

Window make_window() {
  Window window{};
  double sum = 0;
  for (int i = 0; i < kSize * kSize; ++i) {
    const double r = i / kSize - kReach, c = i % kSize - kReach;
    sum += window.w[i] = std::exp(-(r * r + c * c) / 4.5);
  }
  for (double& w : window.w) w /= sum;
  return window;
}

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Results of the blocks of one kernel, fetched after it.
template <typename T>
class PerBlock {
 public:
  PerBlock() { check(cudaMalloc(&data_, kBlocks * sizeof(T)), "cudaMalloc"); }
  ~PerBlock() { cudaFree(data_); }
  PerBlock(const PerBlock&) = delete;
  PerBlock& operator=(const PerBlock&) = delete;
  T* data() { return data_; }
  std::vector<T> fetch(const char* what) {
    check(cudaGetLastError(), what);
    std::vector<T> host(kBlocks);
    check(cudaMemcpy(host.data(), data_, kBlocks * sizeof(T), cudaMemcpyDeviceToHost), what);
    return host;
  }

 private:
  T* data_ = nullptr;
};

template <typename T, typename Join>
__device__ void join_block(T own, T* per_block, const Join& join) {
  __shared__ alignas(16) unsigned char storage[kThreads * sizeof(T)];  // T may have initialisers
  T* of_thread = reinterpret_cast<T*>(storage);
  of_thread[threadIdx.x] = own;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) join(of_thread[threadIdx.x], of_thread[threadIdx.x + half]);
    __syncthreads();
  }
  if (threadIdx.x == 0) per_block[blockIdx.x] = of_thread[0];
}

// body(index, plane, row, column) for every element, spread over the grid.
template <typename Body>
__device__ void each(const Problem& p, const Body& body) {
  const std::int64_t n = p.elements(), size = p.plane_size();
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(kThreads) + threadIdx.x; i < n;
       i += static_cast<std::int64_t>(kBlocks) * kThreads) {
    body(i, i / size, i % size / p.width, i % p.width);
  }
}

// tap(j, w) for every pixel j under the window of the position.
template <typename Tap>
__device__ void under_window(const Problem& p, const Window& window, std::int64_t plane, std::int64_t row,
                             std::int64_t column, const Tap& tap) {
  for (int r = -kReach; r <= kReach; ++r) {
    for (int c = -kReach; c <= kReach; ++c) {
      if (row + r < 0 || row + r >= p.height || column + c < 0 || column + c >= p.width) continue;
      tap(plane * p.plane_size() + (row + r) * p.width + column + c, window.w[(r + kReach) * kSize + c + kReach]);
    }
  }
}

struct Sums {
  double value, loss;
};

// Gradient fields: constant, factor of x, factor of y (see oracle.hpp for the formula).
__global__ void __launch_bounds__(kThreads)
    oracle_values(Problem p, Window window, const float* x, const float* y, double* fields, Sums* per_block) {
  const std::int64_t n = p.elements(), margin = p.padding == Padding::valid ? kReach : 0;
  Sums sums{0, 0};
  each(p, [&](std::int64_t i, std::int64_t plane, std::int64_t row, std::int64_t column) {
    double constant = 0, own = 0, other = 0;
    if (row >= margin && row < p.height - margin && column >= margin && column < p.width - margin) {
      double mx = 0, my = 0, exx = 0, eyy = 0, exy = 0;
      under_window(p, window, plane, row, column, [&](std::int64_t j, double w) {
        const double a = x[j], b = y[j];
        mx += w * a;
        my += w * b;
        exx += w * a * a;
        eyy += w * b * b;
        exy += w * a * b;
      });
      const double c1 = p.c1, c2 = p.c2;
      const double a1 = 2 * mx * my + c1, a2 = 2 * (exy - mx * my) + c2;
      const double b1 = mx * mx + my * my + c1, b2 = (exx - mx * mx) + (eyy - my * my) + c2;
      const double scale = 2 / (b1 * b1 * b2 * b2), luminance = (mx - my) * (mx - my);
      sums.value += a1 * a2 / (b1 * b2);
      sums.loss += (luminance * b2 + a1 * (exx + eyy - 2 * exy - luminance)) / (b1 * b2);
      constant = scale * (b1 * b2 * (a2 - a1) * my + a1 * a2 * (b1 - b2) * mx);
      own = -scale * a1 * b1 * a2;
      other = scale * a1 * b1 * b2;
    }
    fields[i] = constant;
    fields[i + n] = own;
    fields[i + 2 * n] = other;
  });
  join_block(sums, per_block, [](Sums& into, const Sums& from) {
    into.value += from.value;
    into.loss += from.loss;
  });
}

__global__ void __launch_bounds__(kThreads)
    oracle_gradient(Problem p, Window window, const float* x, const float* y, const double* fields, double* gradient) {
  const std::int64_t n = p.elements();
  const double inverse = 1 / static_cast<double>(p.counted());
  each(p, [&](std::int64_t i, std::int64_t plane, std::int64_t row, std::int64_t column) {
    double constant = 0, own = 0, other = 0;
    under_window(p, window, plane, row, column, [&](std::int64_t j, double w) {
      constant += w * fields[j];
      own += w * fields[j + n];
      other += w * fields[j + 2 * n];
    });
    gradient[i] = inverse * (constant + own * static_cast<double>(x[i]) + other * static_cast<double>(y[i]));
  });
}

__host__ __device__ void join_comparison(Comparison& into, const Comparison& from) {
  const bool lower = from.worst == into.worst && from.index < into.index;
  if (from.index >= 0 && (into.index < 0 || from.worst > into.worst || lower)) {
    into.worst = from.worst;
    into.index = from.index;
    into.got = from.got;
    into.want = from.want;
  }
  into.corner = from.corner > into.corner ? from.corner : into.corner;
  into.edge = from.edge > into.edge ? from.edge : into.edge;
  into.interior = from.interior > into.interior ? from.interior : into.interior;
  into.exceeding += from.exceeding;
}

__global__ void __launch_bounds__(kThreads) compare_elements(Problem p, const float* got, const double* want,
                                                             double scale, double limit, Comparison* per_block) {
  const double infinity = __longlong_as_double(0x7FF0000000000000LL);
  Comparison result;
  each(p, [&](std::int64_t i, std::int64_t, std::int64_t row, std::int64_t column) {
    const double is = got[i], should = scale * want[i];
    double error = fabs(is - should);
    if (!(error < infinity)) error = infinity;
    Comparison one;
    one.worst = error;
    one.index = i;
    one.got = is;
    one.want = should;
    const Region where = region(p, row, column);
    one.corner = where == Region::corner ? error : 0;
    one.edge = where == Region::edge ? error : 0;
    one.interior = where == Region::interior ? error : 0;
    one.exceeding = error <= limit ? 0 : 1;
    join_comparison(result, one);
  });
  join_block(result, per_block, [](Comparison& into, const Comparison& from) { join_comparison(into, from); });
}

__global__ void __launch_bounds__(kThreads) size_kernel(const double* values, std::int64_t count, Size* per_block) {
  Size size;
  each(Problem{.width = count}, [&](std::int64_t i, std::int64_t, std::int64_t, std::int64_t) {
    size.squares += values[i] * values[i];
    size.peak = fmax(size.peak, fabs(values[i]));
  });
  join_block(size, per_block, [](Size& into, const Size& from) {
    into.squares += from.squares;
    into.peak = fmax(into.peak, from.peak);
  });
}

__global__ void __launch_bounds__(kThreads)
    fingerprint_sum(const float* values, std::int64_t count, unsigned long long* per_block) {
  unsigned long long sum = 0;
  each(Problem{.width = count}, [&](std::int64_t i, std::int64_t, std::int64_t, std::int64_t) {
    sum += fingerprint_of(__float_as_uint(values[i]), i);
  });
  join_block(sum, per_block, [](unsigned long long& into, unsigned long long from) { into += from; });
}

__global__ void __launch_bounds__(kThreads) fill_uniform(std::uint64_t seed, std::int64_t count, float* x, float* y) {
  each(Problem{.width = count}, [&](std::int64_t i, std::int64_t, std::int64_t, std::int64_t) {
    x[i] = static_cast<float>(uniform_at(seed, kUniformX, static_cast<std::uint64_t>(i)));
    y[i] = static_cast<float>(uniform_at(seed, kUniformY, static_cast<std::uint64_t>(i)));
  });
}

}  // namespace

std::int64_t oracle_scratch_bytes(const Problem& problem) {
  return 3 * problem.elements() * static_cast<std::int64_t>(sizeof(double));
}

Answer oracle(const Problem& problem, const float* x, const float* y, double* gradient, void* scratch) {
  const Window window = make_window();
  PerBlock<Sums> sums;
  double* fields = static_cast<double*>(scratch);
  oracle_values<<<kBlocks, kThreads>>>(problem, window, x, y, fields, sums.data());
  Answer answer;
  for (const Sums& s : sums.fetch("oracle_values")) {
    answer.mean += s.value;
    answer.loss += s.loss;
  }
  answer.mean /= static_cast<double>(problem.counted());
  answer.loss /= static_cast<double>(problem.counted());
  oracle_gradient<<<kBlocks, kThreads>>>(problem, window, x, y, fields, gradient);
  check(cudaGetLastError(), "oracle_gradient");
  check(cudaDeviceSynchronize(), "oracle_gradient");
  return answer;
}

Comparison compare(const Problem& problem, const float* got, const double* want, double scale, double limit) {
  PerBlock<Comparison> per_block;
  compare_elements<<<kBlocks, kThreads>>>(problem, got, want, scale, limit, per_block.data());
  Comparison all;
  for (const Comparison& c : per_block.fetch("compare_elements")) join_comparison(all, c);
  return all;
}

Size size_of(const double* values, std::int64_t count) {
  PerBlock<Size> per_block;
  size_kernel<<<kBlocks, kThreads>>>(values, count, per_block.data());
  Size all;
  for (const Size& s : per_block.fetch("size_kernel")) {
    all.squares += s.squares;
    all.peak = std::max(all.peak, s.peak);
  }
  return all;
}

std::uint64_t fingerprint(const float* values, std::int64_t count) {
  PerBlock<unsigned long long> per_block;
  fingerprint_sum<<<kBlocks, kThreads>>>(values, count, per_block.data());
  std::uint64_t sum = 0;
  for (const unsigned long long s : per_block.fetch("fingerprint_sum")) sum += s;
  return sum;
}

void uniform_images(std::uint64_t seed, std::int64_t count, float* x, float* y) {
  fill_uniform<<<kBlocks, kThreads>>>(seed, count, x, y);
  check(cudaGetLastError(), "fill_uniform");
}

}  // namespace ssim::verify::cuda
