// SPDX-License-Identifier: MIT
// The bench's own kernels, behind plain functions: only delay.cu, fma_chains.cu and l2_flush.cu need nvcc.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace ssim::bench {

/// What one thread saw of its multiprocessor's clock while it waited.
struct ClockReading {
  long long cycles = 0, nanoseconds = 0;
  double mhz() const {
    return nanoseconds > 0 ? 1e3 * static_cast<double>(cycles) / static_cast<double>(nanoseconds) : 0;
  }
};

/// One thread waits for this time on the device, bounded by a count of cycles too, and leaves its clock reading in
/// `reading` (device-accessible, may be null).
cudaError_t delay(std::int64_t nanoseconds, ClockReading* reading, cudaStream_t stream);

/// One thread runs for this many cycles of its multiprocessor's clock.
cudaError_t spin(std::int64_t cycles, cudaStream_t stream);

/// Overwrites `bytes` of `buffer` with 16-byte stores.
cudaError_t write_buffer(void* buffer, std::int64_t bytes, cudaStream_t stream);
/// Reads `bytes` of `buffer`; `sink` (device, 4 bytes) keeps the loads alive.
cudaError_t read_buffer(const void* buffer, std::int64_t bytes, unsigned* sink, cudaStream_t stream);
/// Copies `bytes` with 16-byte loads and stores.
cudaError_t copy_buffer(const void* from, void* to, std::int64_t bytes, cudaStream_t stream);

/// `blocks` blocks of 256 threads, each thread `steps` times 8 independent fp32 multiply-adds.
cudaError_t fma_chains(int blocks, int steps, float* sink, cudaStream_t stream);
inline constexpr int kFmaThreads = 256, kFmaChains = 8;

/// `blocks` blocks of 256 threads, each warp `steps` times 4 independent products of 16x8x16, fp16 into fp32.
cudaError_t tensor_chains(int blocks, int steps, float* sink, cudaStream_t stream);
inline constexpr int kTensorThreads = 256, kTensorChains = 4;
inline constexpr double kTensorFlops = 2.0 * 16 * 8 * 16;  // of a product

/// Whether device code of this build was compiled with -G.
bool device_debug_build();

}  // namespace ssim::bench
