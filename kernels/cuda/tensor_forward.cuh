// SPDX-License-Identifier: MIT
// The mean SSIM on tensor cores at fp32 accuracy, in one launch. Rows `tensor` and `tensor_portable` are this kernel
// with different feeds.
//
// A convolution over a tile is a product with a banded matrix of weights. Statistics are those of the sum/difference
// basis (pixel.hpp): s, d, s^2 and f d^2, each the sum of two fp16, `hi` = the value rounded and `lo` = what that
// leaves (22 bits). Weights are fp16 of one common scale (tensor_weights.hpp). Sums are fp32.
//
// Horizontal, transposed: T^T [16 columns x 8 rows] = W^T [16 x 32 columns] * X^T [32 columns x 8 rows]. With the order
// of k permuted, a lane's four values of a B operand are four neighbouring pixels of one row: one 16-byte load.
// Vertical: O^T [16 x 8 rows] = T^T [16 x rows] * W [rows x 8]. The layout of T^T as a result is its layout as an A
// operand, so that nothing passes through shared memory; one product of depth 16 takes the hi and the lo of a group of
// 8 rows. A warp walks down a strip of 32 columns; each group of T goes at once into the three groups of outputs that
// it reaches, of which two are pending. `lo` comes from the tensor cores too: v - hi = v + hi * (-identity), exactly.
//
// Two things keep the accuracy of fp32. s is taken less a pivot, 1 for images in [0, 1]: variances do not change, and
// E[s^2] - ms^2 loses fewer places; without it photographs are off by 4e-6. And d^2 carries a factor f (kFactor).
//
// Cost model (one warp, one step = 32 columns x 8 rows): 56 products of depth 16, 14 of depth 8, 56 packs, 54
// operations on fp16 pairs, 144 on fp32, 4 reciprocals, 6 loads; reports/lab-notes.md weighs them.
//
// Range: |x + y| < 190 and |x - y| < 48 everywhere, of which |x - y| < 6 in the first attempt. Beyond, fp16 overflows
// and the mean is NaN: an infinite hi times a weight of 0, or an infinite hi beside its lo of the other sign.
#pragma once

#include <type_traits>

#include "block_mean.cuh"
#include "tensor_feed.cuh"
#include "tensor_weights.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kStatistics = 4;  // s, d, s^2, f d^2

inline constexpr unsigned kMinusOne = 0xbc00;

/// What d^2 is multiplied by, because small ones would lose their places among fp16's subnormals. The first factor is
/// for images as they are; it holds |d| < 6. Where that overflows, a block does its share again with the second.
inline constexpr double kFactor[kAttempts] = {1024, 16};

/// Tensor cores cut their sums off, so means come out too small by about this part, E[s^2] as much as ms; E[s^2] - ms^2
/// then is too large by this part of ms^2. Determined in the emulation as what makes uniform noise come out unbiased.
inline constexpr double kCutOff = 0.8e-7;

/// Four values of a lane as hi + lo, two to a register.
struct Split {
  Half2 hi[2], lo[2];
};

/// sum += a * b
__device__ __forceinline__ void multiply_add(float (&sum)[4], const Half2 (&a)[4], const Half2 (&b)[2]) {
  mma_m16n8k16(sum, a, b, sum);
}

/// Operands that stay the same. A product needs registers in pairs; the compiler keeps two that it knows to be equal
/// once and copies them before each product, so it must not know: hence a zero that comes at run time.
struct Weights {
  unsigned horizontal[2][4];
  unsigned vertical[3][2];
  unsigned minus_identity;

  __device__ __forceinline__ void load(unsigned tap_bits, unsigned zero) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    // Column 4 t + (0..1 or 2..3) of block i, which begins kReach columns before the tile, to column g or g + 8.
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        const int from = 16 * i - kReach + 4 * t + j / 2 * 2, to = g + j % 2 * 8;
        horizontal[i][j] = pair(tap_bits, from - to + kHalo);
      }
    }
    // Row 2 t + e of group i - 1 to output row g.
    for (int i = 0; i < 3; ++i) {
      vertical[i][0] = pair(tap_bits, 8 * (i - 1) + 2 * t - g + kHalo);
      vertical[i][1] = vertical[i][0] | zero;
    }
    minus_identity = (2 * t == g ? kMinusOne : 0) | (2 * t + 1 == g ? kMinusOne << 16 : 0);
  }

 private:
  /// Taps k and k + 1, each 0 outside of the window. Lane i's tap_bits are those of tap i.
  __device__ __forceinline__ static unsigned pair(unsigned tap_bits, int k) {
    const unsigned low = shuffle(tap_bits, k >= 0 && k < kWindow ? k : 31);
    const unsigned high = shuffle(tap_bits, k + 1 >= 0 && k + 1 < kWindow ? k + 1 : 31);
    return low | high << 16;
  }
};

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
    out.lo[i] = fma_half2(scaled, add_half2(v.lo[i], v.lo[i]), rest);
  }
}

/// One warp's state.
class Warp {
 public:
  __device__ __forceinline__ Warp(const Parameters& p, float2* totals) : p_(p), totals_(totals) {
    const int lane = threadIdx.x % 32;
    first_pixel_ = lane / 4 * kLoadColumns + static_cast<int>(threadIdx.x / 32) * kWarpColumns + lane % 4 * 4;
    weights_.load(p.weights[lane], p.weights[31]);
  }

  /// Starts the block's share of the work, with one of the factors of d^2.
  __device__ __forceinline__ void attempt(int i) {
    factor_ = p_.factor[i];
    scale_dd_ = p_.scale_dd[i];
    totals_[threadIdx.x] = {0, 0};
    for (float& loss : loss_) loss = 0;
  }

  __device__ __forceinline__ bool last_attempt() const { return factor_ == p_.factor[kAttempts - 1]; }

  /// Called at the beginning of a strip or part of one.
  __device__ __forceinline__ void begin(const Segment& segment) {
    const int g = threadIdx.x % 32 / 4;
    counts_ = 0;
    for (int i = 0; i < 4; ++i) {
      const int column = segment.column + static_cast<int>(threadIdx.x / 32) * kWarpColumns + 8 * i + g;
      if (column >= p_.margin && column < p_.width - p_.margin) counts_ |= 1 << i;
    }
    for (auto& tile : pending_[0]) {
      for (auto& sum : tile) sum[0] = sum[1] = sum[2] = sum[3] = 0;
    }
    for (auto& tile : pending_[1]) {
      for (auto& sum : tile) sum[0] = sum[1] = sum[2] = sum[3] = 0;
    }
    rows_left_ = p_.height - 2 * p_.margin - segment.first * kGroup;
  }

  /// Takes the next 8 rows into history slot kSlot; with kOutput, gives the 8 rows before them.
  template <int kSlot, bool kOutput, typename AnyFeed>
  __device__ __forceinline__ void step(AnyFeed& feed) {
    const Stage& stage = feed.acquire();
    const float* x = &stage.x[0][0] + first_pixel_;
    const float* y = &stage.y[0][0] + first_pixel_;

    float sums[2][kStatistics][4] = {};
    for (int block = 0; block < 3; ++block) {
      Split operands[kStatistics];
      load(x + 16 * block, y + 16 * block, operands);
      if (block == 2) feed.release();
      for (int tile = 0; tile < 2; ++tile) {
        const int part = block - tile;  // of the tile's 32 columns
        if (part != 0 && part != 1) continue;
        const unsigned(&w)[4] = weights_.horizontal[part];
        for (int i = 0; i < kStatistics; ++i) multiply_add(sums[tile][i], w, operands[i].lo);
        for (int i = 0; i < kStatistics; ++i) multiply_add(sums[tile][i], w, operands[i].hi);
      }
    }

    // pending_[kSlot] is the group above, which this one completes; pending_[1 - kSlot] this one's own.
    const int rows = rows_left_;
    if (kOutput) rows_left_ -= kGroup;
    for (int tile = 0; tile < 2; ++tile) {
      Split parts[kStatistics];
      for (int i = 0; i < kStatistics; ++i) {
        split(sums[tile][i], parts[i], weights_.minus_identity);
        if (kOutput) vertical(pending_[kSlot][tile][i], parts[i], 2);
        vertical(pending_[1 - kSlot][tile][i], parts[i], 1);
      }
      if (kOutput) {
        if (rows < kGroup) keep_rows(pending_[kSlot][tile], rows);
        add_pair(pending_[kSlot][tile], 0, loss_[2 * tile]);
        add_pair(pending_[kSlot][tile], 2, loss_[2 * tile + 1]);
      }
      for (int i = 0; i < kStatistics; ++i) {
        for (float& v : pending_[kSlot][tile][i]) v = 0;
        vertical(pending_[kSlot][tile][i], parts[i], 0);
      }
    }
  }

  /// Adds what the steps since the last call gave to the total, which is kept in two fp32 numbers (Dekker 1971).
  __device__ __forceinline__ void flush() {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      sum += counts_ & 1 << i ? loss_[i] : 0;
      loss_[i] = 0;
    }
    float2& own = totals_[threadIdx.x];
    const float2 before = own;
    const float total = before.x + sum;
    own = {total, before.y + (sum - (total - before.x))};
  }

  __device__ __forceinline__ bool overflowed() const {
    const float total = totals_[threadIdx.x].x;
    return !(total - total == 0);
  }

  /// Sum of 1 - SSIM over all positions of this lane.
  __device__ __forceinline__ double total() const {
    const float2 own = totals_[threadIdx.x];
    return 2 * (static_cast<double>(own.x) + static_cast<double>(own.y));
  }

 private:
  /// Output rows from `rows` on do not count: with all statistics zero their 1 - SSIM is zero.
  __device__ __forceinline__ static void keep_rows(float (&out)[kStatistics][4], int rows) {
    sync_warp();  // keeps the compiler from doing all this every time, with predicates
    for (int i = 0; i < kStatistics; ++i) {
      for (int j = 0; j < 4; ++j) {
        if (static_cast<int>(threadIdx.x % 4) * 2 + j % 2 >= rows) out[i][j] = 0;
      }
    }
  }

  __device__ __forceinline__ void load(const float* x, const float* y, Split (&operands)[kStatistics]) {
    const float4 a = *reinterpret_cast<const float4*>(x), b = *reinterpret_cast<const float4*>(y);
    float s[4] = {a.x - p_.pivot + b.x, a.y - p_.pivot + b.y, a.z - p_.pivot + b.z, a.w - p_.pivot + b.w};
    float d[4] = {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w};
    split(s, operands[0], weights_.minus_identity);
    split(d, operands[1], weights_.minus_identity);
    square<false>(operands[0], operands[2], 0);
    square<true>(operands[1], operands[3], factor_);
  }

  __device__ __forceinline__ void vertical(float (&sum)[4], const Split& t, int part) {
    multiply_add(sum, {t.hi[0], t.hi[1], t.lo[0], t.lo[1]}, weights_.vertical[part]);
  }

  /// (1 - SSIM) / 2 of two rows of one column, over one reciprocal. With a = ms^2 + 2 C1, m = md^2,
  /// g = E[s^2] + 2 (C1 + C2) - a and e = E[d^2] - m it is (m g + a e) / ((a + m)(g + e)). g is formed before anything
  /// of d comes in: added to E[s^2] - ms^2 first, C2 would drown.
  __device__ __forceinline__ void add_pair(const float (&out)[kStatistics][4], int i, float& loss) {
    float above[2], below[2];
    for (int j = 0; j < 2; ++j) {
      const float ms = out[0][i + j], md = out[1][i + j], ess = out[2][i + j], edd = out[3][i + j];
      const float shifted = ms + p_.pivot_mean;
      const float a = fma(shifted, shifted, p_.c1), m = md * md;
      const float g = fma(-ms, ms, fma(p_.scale_ss, ess, p_.c2));
      const float e = fma(scale_dd_, edd, -m);
      above[j] = fma(m, g, a * e);
      below[j] = (a + m) * (g + e);
    }
    loss = fma(fma(above[0], below[1], above[1] * below[0]), reciprocal_fast(below[0] * below[1]), loss);
  }

  const Parameters& p_;
  float2* totals_;  // of the block's threads; in shared memory, because registers are scarce
  Weights weights_;
  float pending_[2][2][kStatistics][4];  // [slot][tile][statistic]
  float loss_[4] = {};                   // (1 - SSIM) / 2, one a column of the lane
  int counts_ = 0;                       // bit i: that column counts
  unsigned factor_;
  float scale_dd_;
  int rows_left_;
  int first_pixel_;  // of the lane, in a stage
};

/// Bytes of one asynchronous copy; 0: tensor copies.
template <int kCopyBytes>
using Feed = std::conditional_t<kCopyBytes == 0, TensorFeed, CopyFeed<kCopyBytes>>;

template <int kCopyBytes>
struct Memory {
  typename Feed<kCopyBytes>::Memory feed;
  float2 totals[kThreads];
  BlockMean mean;
};

/// Blocks on a multiprocessor: as many as registers allow, if their shared memory (and 1 KB that the system keeps of
/// each) fits.
constexpr int resident_blocks(int shared_bytes) {
  const int fit = shared_bytes / static_cast<int>(sizeof(Memory<0>) + 1024);
  return fit < kBlocksPerMultiprocessor ? fit : kBlocksPerMultiprocessor;
}

template <int kCopyBytes>
__global__ void __launch_bounds__(kThreads, resident_blocks(kSharedBytesOfMultiprocessor))
    tensor_forward(const __grid_constant__ Parameters p) {
  auto& memory = shared<Memory<kCopyBytes>>();
  Feed<kCopyBytes> feed(p, memory.feed);
  Warp warp(p, memory.totals);
  warp.attempt(0);
  for (;;) {
    feed.begin();
    Segment segment;
    for (int done = 0; next_segment(p, done, segment);) {
      warp.begin(segment);
      warp.template step<0, false>(feed);
      warp.template step<1, false>(feed);
      for (int left = segment.outputs;;) {
        warp.template step<0, true>(feed);
        if (--left == 0) break;
        warp.template step<1, true>(feed);
        warp.flush();
        if (--left == 0) break;
      }
      warp.flush();
    }
    if (!sync_block_or(warp.overflowed()) || warp.last_attempt()) break;
    warp.attempt(1);
  }
  feed.finish();
  finish_mean<kThreads>(warp.total(), memory.mean, p.sums, p.counter, p.count, p.mean);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
