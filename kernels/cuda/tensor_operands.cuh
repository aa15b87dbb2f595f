// SPDX-License-Identifier: MIT
// Values and weights as operands of the tensor cores, at fp32 accuracy.
//
// A value is the sum of two fp16, `hi` = the value rounded and `lo` = what that leaves (22 bits). Weights are fp16 of
// one common scale (tensor_weights.hpp). Sums are fp32. `lo` comes from the tensor cores too: v - hi = v + hi *
// (-identity), exactly.
#pragma once

#include "primitives_tensor.cuh"
#include "tensor_weights.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kGroup = 8;  // rows of a step
inline constexpr int kReach = 8;  // columns that a tile of 16 needs on each side

/// Four values of a lane as hi + lo, two to a register.
struct Split {
  Half2 hi[2], lo[2];
};

/// sum += a * b
__device__ __forceinline__ void multiply_add(float (&sum)[4], const Half2 (&a)[4], const Half2 (&b)[2]) {
  mma_m16n8k16(sum, a, b, sum);
}

/// v becomes v - hi.
__device__ __forceinline__ void split(float (&v)[4], Split& out, unsigned minus_identity) {
  out.hi[0] = pack_half2(v[0], v[1]);
  out.hi[1] = pack_half2(v[2], v[3]);
  mma_m16n8k8(v, out.hi, {minus_identity}, v);
  out.lo[0] = pack_half2(v[0], v[1]);
  out.lo[1] = pack_half2(v[2], v[3]);
}

/// The square of a split value, times a power of two where kScaled.
template <bool kScaled>
__device__ __forceinline__ void square(const Split& v, Split& out, unsigned factor) {
  for (int i = 0; i < 2; ++i) {
    const unsigned scaled = kScaled ? mul_half2(v.hi[i], factor) : v.hi[i];
    const unsigned hi = mul_half2(v.hi[i], scaled);
    const unsigned rest = fma_half2(v.hi[i], scaled, negate_half2(hi));  // exact, but for underflow
    out.hi[i] = hi;
    out.lo[i] = SSIM_DEFECT(lo_dropped) ? 0 : fma_half2(scaled, add_half2(v.lo[i], v.lo[i]), rest);
  }
}

/// sum = before + T * vertical weights: one product of depth 16 takes the hi and the lo of 8 rows.
__device__ __forceinline__ void add_rows(float (&sum)[4], const Split& t, const unsigned (&weights)[2],
                                         const float (&before)[4]) {
  mma_m16n8k16(sum, {t.hi[0], t.hi[1], t.lo[0], t.lo[1]}, weights, before);
}

/// Where a step finds the sums that are not complete. A loop over two steps takes turns, `first` and `second`, and each
/// sum stays where it is. In a loop over single ones they move on, which costs nothing, because a product may write
/// its sum elsewhere than where it found it; but only after the complete one has been used, and that hides less.
enum class Turn { first, second, single };

/// Sums of two groups of rows: of the group above, which the next rows complete, and of the last one.
struct PendingRows {
  float sum[2][4];

  __device__ __forceinline__ void begin() {
    for (auto& rows : sum) rows[0] = rows[1] = rows[2] = rows[3] = 0;
  }

  /// That of the group above.
  template <Turn kTurn>
  __device__ __forceinline__ float (&above())[4] {
    return sum[kTurn == Turn::second];
  }

  /// The next rows complete it, if kOutput.
  template <Turn kTurn, bool kOutput>
  __device__ __forceinline__ void complete(const Split& t, const unsigned (&vertical)[3][2]) {
    if (kOutput) add_rows(above<kTurn>(), t, vertical[2], above<kTurn>());
    if (kTurn != Turn::single) add_rows(own<kTurn>(), t, vertical[1], own<kTurn>());
  }

  /// It has been used, and the next rows are the last.
  template <Turn kTurn>
  __device__ __forceinline__ void move_on(const Split& t, const unsigned (&vertical)[3][2]) {
    float none[4];
    for (int i = 0; i < 4; ++i) none[i] = SSIM_DEFECT(stale_pending) ? above<kTurn>()[i] : 0;
    if (kTurn == Turn::single) {
      add_rows(above<kTurn>(), t, vertical[1], own<kTurn>());
      add_rows(own<kTurn>(), t, vertical[0], none);
    } else {
      add_rows(above<kTurn>(), t, vertical[0], none);
    }
  }

 private:
  template <Turn kTurn>
  __device__ __forceinline__ float (&own())[4] {
    return sum[kTurn != Turn::second];
  }
};

/// Which image columns and rows the indices of a product stand for. A lane is g = lane / 4, t = lane % 4.
///
/// pixels: a B operand comes from four neighbouring pixels of a row, 4 t .. 4 t + 3 of a block of 16 (one 16-byte
/// load); outputs are columns g and g + 8, rows 2 t and 2 t + 1. fields: a B operand comes from load_matrix, pixels 2
/// t, 2 t + 1 and those + 8; outputs are columns 2 g and 2 g + 1, rows t and t + 4, so that a lane's two columns are
/// neighbours in memory.
enum class Order { pixels, fields };

/// Operands that stay the same. A product needs registers in pairs; the compiler keeps two that it knows to be equal
/// once and copies them before each product, so it must not know: hence a zero that comes at run time.
template <Order kOrder>
struct Weights {
  unsigned horizontal[2][4];
  unsigned vertical[3][2];
  unsigned minus_identity;

  /// Lane i's tap_bits are those of tap i; zero is one.
  __device__ __forceinline__ void load(unsigned tap_bits, unsigned zero) {
    constexpr bool kPixels = kOrder == Order::pixels;
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    // Columns of block i, which begins kReach columns before the tile, to the tile's columns.
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        const int from = 16 * i - kReach + (kPixels ? 4 * t + j / 2 * 2 : 2 * t + j / 2 * 8);
        const int to = kPixels ? g + j % 2 * 8 : 2 * g + j % 2;
        horizontal[i][j] = pair(tap_bits, from - to + kHalo);
      }
    }
    // Row 2 t + e of group i - 1 to an output row. Fields: product column g is row g / 2 or, for odd g, that + 4.
    const int row = kPixels ? g : g / 2 + g % 2 * 4;
    for (int i = 0; i < 3; ++i) {
      vertical[i][0] = pair(tap_bits, 8 * (i - 1) + 2 * t - row + kHalo);
      vertical[i][1] = vertical[i][0] | zero;
    }
    constexpr unsigned kMinusOne = 0xbc00;
    minus_identity = (2 * t == g ? kMinusOne : 0) | (2 * t + 1 == g ? kMinusOne << 16 : 0);
  }

 private:
  /// Taps k and k + 1, each 0 outside of the window.
  __device__ __forceinline__ static unsigned pair(unsigned tap_bits, int k) {
    const unsigned low = shuffle(tap_bits, k >= 0 && k < kWindow ? k : 31);
    const unsigned high = shuffle(tap_bits, k + 1 >= 0 && k + 1 < kWindow ? k + 1 : 31);
    return low | high << 16;
  }
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
