// SPDX-License-Identifier: MIT
// A weight from the host, and the pass over the gradient of an autograd step.
//
// Cost: a launch; scale reads and writes 8 bytes an element, and returns at once where the factor is 1, which the host
// must not ask for. LibTorch's own operators would do the same for twice the host's time.
#include "operator_kernels.hpp"

#include "primitives.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kVectors = 4;                  // that a thread has in flight
constexpr int kBlock = kThreads * kVectors;  // vectors

struct alignas(16) Four {
  float v[4];
};

__global__ void operator_store(float value, float* to) { *to = value; }

// `head` values before the first vector, `vectors` of them, `tail` values behind the last; head and tail are < 4.
__global__ void __launch_bounds__(kThreads)
    operator_scale(const float* values, float* result, int head, std::int64_t vectors, int tail, const float* factor) {
  const float f = load_readonly(factor);
  if (f == 1.0f && values == result) return;
  const Four* from = reinterpret_cast<const Four*>(values + head);
  Four* to = reinterpret_cast<Four*>(result + head);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  Four loaded[kVectors];
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    if (first + i * kThreads < vectors) loaded[i] = from[first + i * kThreads];
  }
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    if (first + i * kThreads < vectors) {
      for (float& v : loaded[i].v) v *= f;
      to[first + i * kThreads] = loaded[i];
    }
  }
  if (blockIdx.x == 0) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < head) result[thread] = values[thread] * f;
    const std::int64_t last = head + 4 * vectors + thread;
    if (thread < tail) result[last] = values[last] * f;
  }
}

}  // namespace

Status store(float value, float* to, void* stream) {
  return launch("operator_store", operator_store, dim3(1), dim3(1), 0, stream, value, to);
}

Status scale(const float* values, float* result, std::int64_t count, const float* factor, void* stream) {
  if ((reinterpret_cast<std::uintptr_t>(values) - reinterpret_cast<std::uintptr_t>(result)) % sizeof(Four) != 0) {
    return Status::error(Status::Code::invalid_argument, "scale: values %p and result %p are not equal modulo 16 bytes",
                         static_cast<const void*>(values), static_cast<const void*>(result));
  }
  const auto misaligned = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(values) / sizeof(float) % 4);
  const std::int64_t head = misaligned == 0 ? 0 : (4 - misaligned < count ? 4 - misaligned : count);
  const std::int64_t vectors = (count - head) / 4;
  const std::int64_t blocks = (vectors + kBlock - 1) / kBlock;
  return launch("operator_scale", operator_scale, dim3(static_cast<unsigned>(blocks > 0 ? blocks : 1)), dim3(kThreads),
                0, stream, values, result, static_cast<int>(head), vectors,
                static_cast<int>(count - head - 4 * vectors), factor);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
