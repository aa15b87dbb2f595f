// SPDX-License-Identifier: MIT
// CPU ceilings: a copy far larger than the caches, and independent chains of SIMD multiply-adds, on all threads.
//
// Idea: the best of several runs, since a ceiling is what nothing disturbs. An FMA has a latency of about 4 cycles and
// two units, so 8 chains fill them; 12 leave room. Cost: about half a second and 256 MB.
#include <algorithm>
#include <barrier>
#include <cstddef>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "ceilings.hpp"
#include "cpu_timer.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ssim::bench {
namespace {

constexpr int kChains = 12;
constexpr long kSteps = 1'000'000;

// Volatile: not constants to the compiler, and each read may differ, so that no two chains are one to it.
volatile float g_scale = 0.999f, g_shift = 0.001f;
volatile float g_sink;

// Each runs `steps` times kChains multiply-adds on vectors of `lanes` floats.
struct FmaLoop {
  void (*run)(long steps);
  int lanes;
};

void fma_portable(long steps) {
  typedef float Vector __attribute__((vector_size(16)));
  const Vector scale = Vector{} + g_scale, shift = Vector{} + g_shift;
  Vector chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) chain[i] = Vector{} + g_shift;
  for (long s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = chain[i] * scale + shift;
  }
  for (int i = 0; i < kChains; ++i) g_sink = chain[i][0];
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void fma_avx2(long steps) {
  const __m256 scale = _mm256_set1_ps(g_scale), shift = _mm256_set1_ps(g_shift);
  __m256 chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) chain[i] = _mm256_set1_ps(g_shift);
  for (long s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = _mm256_fmadd_ps(chain[i], scale, shift);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) g_sink = chain[i][0];
}

[[gnu::target("avx512f")]] void fma_avx512(long steps) {
  const __m512 scale = _mm512_set1_ps(g_scale), shift = _mm512_set1_ps(g_shift);
  __m512 chain[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) chain[i] = _mm512_set1_ps(g_shift);
  for (long s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = _mm512_fmadd_ps(chain[i], scale, shift);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) g_sink = chain[i][0];
}
#endif

FmaLoop widest_loop() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {fma_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {fma_avx2, 8};
#endif
  return {fma_portable, 4};
}

// Wall seconds from the first thread's start of work(thread) to the last one's end; the fastest of `repeats`.
template <typename Work>
double fastest(int threads, int repeats, const Work& work) {
  double best = std::numeric_limits<double>::infinity();
  for (int repeat = 0; repeat < repeats; ++repeat) {
    std::barrier start(threads);
    std::vector<double> begin(static_cast<std::size_t>(threads)), end(begin);
    {
      std::vector<std::jthread> pool;
      for (int t = 0; t < threads; ++t) {
        pool.emplace_back([&, t] {
          start.arrive_and_wait();
          begin[static_cast<std::size_t>(t)] = steady_seconds();
          work(t);
          end[static_cast<std::size_t>(t)] = steady_seconds();
        });
      }
    }
    best = std::min(best, *std::max_element(end.begin(), end.end()) - *std::min_element(begin.begin(), begin.end()));
  }
  return best;
}

}  // namespace

Ceilings cpu_ceilings(int threads) {
  Ceilings ceilings;
  const FmaLoop loop = widest_loop();
  const double fma_seconds = fastest(threads, 8, [&](int) { loop.run(kSteps); });
  ceilings.fma_gflop_s = 2e-9 * threads * static_cast<double>(kSteps) * kChains * loop.lanes / fma_seconds;

  // Half of it read, half written. Larger than the caches where that is affordable; README.md says what it means where
  // a shared cache is larger still.
  const std::size_t half = std::size_t{128} << 20;
  std::vector<char> from(half, 1), to(half, 2);
  const std::size_t part = half / static_cast<std::size_t>(threads) / 64 * 64;
  const double copy_seconds = fastest(threads, 8, [&](int t) {
    const std::size_t at = static_cast<std::size_t>(t) * part;
    std::memcpy(to.data() + at, from.data() + at, part);
  });
  ceilings.copy_gb_s = 2e-9 * static_cast<double>(part) * threads / copy_seconds;
  return ceilings;
}

}  // namespace ssim::bench
