// SPDX-License-Identifier: MIT
// SIMD for stream_kernel.cpp on the vector extensions of GCC and Clang: one source, kLanes floats a register.
//
// The compiler of each instruction set sees it inside a namespace of its own, and everything is static or inlined by
// force, so no function built for one instruction set can stand in for another. Intrinsics are used where the
// extensions have no word: masked access to part of a line, and a load that fills a quarter of a register.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstdint>

#include "stream_task.hpp"
#include "window.hpp"

#define SSIM_INLINE [[gnu::always_inline]] inline

namespace ssim::cpu::SSIM_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Vector = float __attribute__((vector_size(4 * kLanes)));
using Mask = std::int32_t __attribute__((vector_size(4 * kLanes)));
using Quad = float __attribute__((vector_size(16)));

SSIM_INLINE Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
SSIM_INLINE void store(float* to, Vector v) { *reinterpret_cast<Vector*>(to) = v; }
/// A typedef, because Clang ignores the alignment of a type that `using` names.
typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

SSIM_INLINE Vector load_unaligned(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
SSIM_INLINE void store_unaligned(float* to, Vector v) { *reinterpret_cast<Unaligned*>(to) = v; }
SSIM_INLINE Vector splat(float value) { return value - Vector{}; }
/// v where the mask is all ones, +0 where it is zero, whatever v is there.
SSIM_INLINE Vector keep(Vector v, Mask mask) { return reinterpret_cast<Vector>(reinterpret_cast<Mask>(v) & mask); }

/// Lanes first, first + 1, ... against count: the first `count` floats at `from`, zeros behind them; nothing else is
/// read.
SSIM_INLINE Vector load_partial(const float* from, int count) {
#if defined(__AVX512F__)
  const int n = count < 0 ? 0 : count > kLanes ? kLanes : count;
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from);
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane));
#else
  Vector v{};
  for (int i = 0; i < kLanes; ++i) {
    if (i < count) v[i] = from[i];
  }
  return v;
#endif
}

/// Writes the first `count` lanes and nothing else.
SSIM_INLINE void store_partial(float* to, Vector v, int count) {
#if defined(__AVX512F__)
  const int n = count < 0 ? 0 : count > kLanes ? kLanes : count;
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << n) - 1), v);
#elif defined(__AVX2__)
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane), v);
#else
  for (int i = 0; i < kLanes; ++i) {
    if (i < count) to[i] = v[i];
  }
#endif
}

// --- transposition ---------------------------------------------------------------------------------------------------

SSIM_INLINE Quad load_quad(const float* from) { return *reinterpret_cast<const Quad*>(from); }

/// Four columns of kLanes rows: lane 4 m + n holds column n of row 4 m + `from`'s.
SSIM_INLINE Vector load_quads(const float* from, int stride) {
#if defined(__AVX512F__)
  Vector v = _mm512_castps128_ps512(load_quad(from));
  v = _mm512_insertf32x4(v, load_quad(from + 4 * stride), 1);
  v = _mm512_insertf32x4(v, load_quad(from + 8 * stride), 2);
  return _mm512_insertf32x4(v, load_quad(from + 12 * stride), 3);
#elif defined(__AVX2__)
  return __builtin_shufflevector(load_quad(from), load_quad(from + 4 * stride), 0, 1, 2, 3, 4, 5, 6, 7);
#else
  (void)stride;
  return load_quad(from);
#endif
}

/// Index into the lanes of a and b, counted through, of element e (0-3 in a, 4-7 in b) of group g of four lanes.
constexpr int in_group(int e, int g) { return e < 4 ? 4 * g + e : kLanes + 4 * g + e - 4; }

#define SSIM_GROUP(g, i, j, k, l) in_group(i, g), in_group(j, g), in_group(k, g), in_group(l, g)

/// Elements i, j, k, l (in_group) of every group of four lanes.
template <int i, int j, int k, int l>
SSIM_INLINE Vector shuffle_groups(Vector a, Vector b) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(a, b, SSIM_GROUP(0, i, j, k, l), SSIM_GROUP(1, i, j, k, l), SSIM_GROUP(2, i, j, k, l),
                                 SSIM_GROUP(3, i, j, k, l));
#elif defined(__AVX2__)
  return __builtin_shufflevector(a, b, SSIM_GROUP(0, i, j, k, l), SSIM_GROUP(1, i, j, k, l));
#else
  return __builtin_shufflevector(a, b, SSIM_GROUP(0, i, j, k, l));
#endif
}
#undef SSIM_GROUP

/// to[c * to_stride + r] = from[r * from_stride + c] for r, c < kBlock. Strides in floats, lines aligned.
SSIM_INLINE void transpose(const float* from, int from_stride, float* to, int to_stride) {
  for (int r = 0; r < kBlock; r += kLanes) {
    for (int c = 0; c < kBlock; c += 4) {
      const float* corner = from + r * from_stride + c;
      const Vector q0 = load_quads(corner, from_stride);
      const Vector q1 = load_quads(corner + from_stride, from_stride);
      const Vector q2 = load_quads(corner + 2 * from_stride, from_stride);
      const Vector q3 = load_quads(corner + 3 * from_stride, from_stride);
      const Vector t0 = shuffle_groups<0, 4, 1, 5>(q0, q1), t1 = shuffle_groups<0, 4, 1, 5>(q2, q3);
      const Vector t2 = shuffle_groups<2, 6, 3, 7>(q0, q1), t3 = shuffle_groups<2, 6, 3, 7>(q2, q3);
      store(to + (c + 0) * to_stride + r, shuffle_groups<0, 1, 4, 5>(t0, t1));
      store(to + (c + 1) * to_stride + r, shuffle_groups<2, 3, 6, 7>(t0, t1));
      store(to + (c + 2) * to_stride + r, shuffle_groups<0, 1, 4, 5>(t2, t3));
      store(to + (c + 3) * to_stride + r, shuffle_groups<2, 3, 6, 7>(t2, t3));
    }
  }
}

// --- convolution -----------------------------------------------------------------------------------------------------

constexpr float kTap0 = tap(5), kTap1 = tap(4), kTap2 = tap(3), kTap3 = tap(2), kTap4 = tap(1), kTap5 = tap(0);

/// Symmetric taps: 5 additions and 6 multiplications, which go to different ports where a core has ports for both.
SSIM_INLINE Vector window_sum(Vector a0, Vector a1, Vector a2, Vector a3, Vector a4, Vector a5, Vector a6, Vector a7,
                              Vector a8, Vector a9, Vector a10) {
  Vector sum = (SSIM_DEFECT(tap_wrong) ? kTap1 : kTap0) * a5;
  sum += kTap1 * (a4 + a6);
  sum += kTap2 * (a3 + a7);
  sum += kTap3 * (a2 + a8);
  sum += kTap4 * (a1 + a9);
  sum += kTap5 * (a0 + a10);
  return sum;
}

/// Four lines of kBlock floats from fourteen: out line i is the window sum of in lines i ... i + 10. A line is a row
/// of columns or a column of rows, so this is the vertical and the horizontal convolution. All loads are aligned, and
/// each serves up to four outputs. (Named variables: arrays of SIMD values cost Clang a factor of two.)
SSIM_INLINE void convolve4(const float* in, int in_stride, float* out, int out_stride) {
  for (int lane = 0; lane < kBlock; lane += kLanes) {
    const float* from = in + lane;
    float* to = out + lane;
    const Vector a0 = load(from), a1 = load(from + in_stride), a2 = load(from + 2 * in_stride);
    const Vector a3 = load(from + 3 * in_stride), a4 = load(from + 4 * in_stride), a5 = load(from + 5 * in_stride);
    const Vector a6 = load(from + 6 * in_stride), a7 = load(from + 7 * in_stride), a8 = load(from + 8 * in_stride);
    const Vector a9 = load(from + 9 * in_stride), a10 = load(from + 10 * in_stride), a11 = load(from + 11 * in_stride);
    const Vector a12 = load(from + 12 * in_stride), a13 = load(from + 13 * in_stride);
    store(to, window_sum(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10));
    store(to + out_stride, window_sum(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11));
    store(to + 2 * out_stride, window_sum(a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12));
    store(to + 3 * out_stride, window_sum(a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13));
  }
}

}  // namespace
}  // namespace ssim::cpu::SSIM_ISA
