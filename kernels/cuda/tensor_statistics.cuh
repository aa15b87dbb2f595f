// SPDX-License-Identifier: MIT
// The four statistics of the sum/difference basis on tensor cores: one warp, 32 columns, 8 rows a step.
//
// A convolution over a tile is a product with a banded matrix of weights. Statistics are s, d, s^2 and f d^2
// (pixel.hpp); operands are split as in tensor_operands.cuh.
//
// Horizontal, transposed: T^T [16 columns x 8 rows] = W^T [16 x 32 columns] * X^T [32 columns x 8 rows]. With the order
// of k permuted, a lane's four values of a B operand are four neighbouring pixels of one row: one 16-byte load.
// Vertical: O^T [16 x 8 rows] = T^T [16 x rows] * W [rows x 8]. The layout of T^T as a result is its layout as an A
// operand, so that nothing passes through shared memory; one product of depth 16 takes the hi and the lo of a group of
// 8 rows. A warp walks down its columns; each group of T goes at once into the three groups of outputs that it reaches,
// of which two are pending.
//
// Two things keep the accuracy of fp32. s is taken less a pivot (plane_sample): variances do not change, and
// E[s^2] - ms^2 loses fewer places; without it photographs are off by 4e-6. And d^2 carries a factor (kFactor).
//
// Range: |s - pivot| < 190 and |d| < 6. Beyond, fp16 overflows and the results are NaN: an infinite hi times a weight
// of 0, or an infinite hi beside its lo of the other sign. range_fallback.cuh takes over.
#pragma once

#include <bit>
#include <cmath>
#include <limits>

#include "tensor_feed.cuh"
#include "tensor_operands.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kStatistics = 4;  // s, d, s^2, f d^2

/// What d^2 is multiplied by, because small ones would lose their places among fp16's subnormals.
inline constexpr double kFactor = 1024;

/// A positive number in fp32, so many places lower.
consteval float places_less(double value, int places) {
  return std::bit_cast<float>(std::bit_cast<int>(static_cast<float>(value)) - places);
}

// From mean squares to squared means. Tensor cores cut their sums off: E[s^2] - ms^2 and E[d^2] - md^2 come out too
// large by about 1.5e-7 of the squared means, so the mean squares' scale is lowered. fp32 has steps of 0.8e-7 there:
// one scale for all positions would leave a bias that no mean averages out. Even rows of a group take a step, odd rows
// two. Chosen in the emulation, with which a card agrees to 3e-8 of the mean, as what leaves photographs, their darker
// copies and their negatives least biased (reports/lab-notes.md).
inline constexpr double kScale = kHalfTapSum * kHalfTapSum;
inline constexpr float kScaleOfEvenRows = places_less(kScale, 1), kScaleOfOddRows = places_less(kScale, 2);
SSIM_HOST_DEVICE constexpr float lowered_scale(int row) { return row % 2 == 0 ? kScaleOfEvenRows : kScaleOfOddRows; }

/// Constants of SSIM in the units of the statistics, which all carry the square of the sum of the weights.
struct StatisticsParameters {
  unsigned weights[32];  // fp16 bits of tap i, 0 from tap 11 on
  float scale;           // of a mean, in the units of the statistics
  float lowered[4];      // scales of E[s^2], by position; as two numbers or immediates they cost five moves a step
  float c1, c2;          // 2 C1 and 2 C2 in the scale of the squared means
  unsigned factor;       // of d^2, fp16 bits in both halves
  float range;           // of the data, as C1 has it
};

/// The lane's tap. By eleven uniform loads, because one by 32 addresses goes through the constant cache 32 times.
__device__ __forceinline__ unsigned lane_tap(const StatisticsParameters& p) {
  const unsigned lane = threadIdx.x % 32;
  unsigned tap = 0;
#pragma unroll
  for (unsigned i = 0; i < kWindow; ++i) tap = lane == i ? p.weights[i] : tap;
  return tap;
}

inline StatisticsParameters statistics_parameters(const Problem& problem) {
  StatisticsParameters p{};
  for (int i = 0; i < 32; ++i) p.weights[i] = half_tap_bits(i);
  p.c1 = static_cast<float>(2 * kScale * kScale * static_cast<double>(problem.c1));
  const float c2 = SSIM_DEFECT(constants_fixed) ? 9e-4f : problem.c2;
  p.c2 = static_cast<float>(2 * kScale * kScale * static_cast<double>(c2));
  p.scale = static_cast<float>(kScale);
  p.factor = exact_half_bits(kFactor) * 0x10001u;
  for (int i = 0; i < 4; ++i) p.lowered[i] = lowered_scale(i);
  p.range = 100 * std::sqrt(problem.c1);
  return p;
}

/// What a kernel needs to know. Rows and columns are those of the image.
template <typename AnyPlan>
struct ParametersOf {
  const float *x, *y;
  int width, height;
  int margin;  // positions nearer to the edge do not count
  AnyPlan plan;
  StatisticsParameters statistics;
  float c1, c2;  // of the formula
  double inverse_count;
  MeanSum mean;
};

using Parameters = ParametersOf<Plan>;

/// With what the feed needs.
template <typename Base, typename Maps>
struct WithMaps : Base {
  Maps maps;
};

/// All of it but the maps, for a plan that is not divided yet.
template <typename AnyPlan>
void fill(ParametersOf<AnyPlan>& p, const Problem& problem, const Arguments& arguments, const Plan& plan,
          std::int64_t blocks) {
  p.x = arguments.x;
  p.y = arguments.y;
  p.width = static_cast<int>(problem.width);
  p.height = static_cast<int>(problem.height);
  p.margin = problem.padding == Padding::valid ? kHalo : 0;
  static_cast<Plan&>(p.plan) = plan;
  divide(p.plan, blocks);
  p.statistics = statistics_parameters(problem);
  p.c1 = problem.c1;
  p.c2 = problem.c2;
  p.inverse_count = 1 / static_cast<double>(problem.counted());
  p.mean = mean_sum(problem, arguments, blocks);
}

/// What 32 pixels of a plane tell of it. The same for each part of the plane, so that results do not depend on how the
/// work is divided.
struct Sample {
  /// What is taken from every s: the mean, to fp16, so that taking it away seldom rounds. Not beyond the range of the
  /// data, for it costs places where an image is near zero.
  float pivot;
  bool bright;  // one beyond four times the range of the data
  /// All below a hundredth of it, but for one at most: fp16 would round them too much for the gradient, and where a few
  /// bright pixels stand alone each gradient hangs on few weights, of which the smallest is 1.1e-4 of itself off.
  bool dark;
};

/// A lane's pixel of each image, asked for some time before plane_sample needs them.
struct SamplePixels {
  float x, y;
};

__device__ __forceinline__ SamplePixels sample_pixels(const float* x, const float* y, int plane, int height,
                                                      int width) {
  const int lane = threadIdx.x % 32;
  const int row = static_cast<int>(static_cast<std::int64_t>(2 * (lane / 8) + 1) * height / 8);
  const int column = static_cast<int>(static_cast<std::int64_t>(2 * (lane % 8) + 1) * width / 16);
  const std::int64_t at = (static_cast<std::int64_t>(plane) * height + row) * width + column;
  return {load_readonly(x + at), load_readonly(y + at)};
}

/// Whole warp.
__device__ __forceinline__ Sample plane_sample(const SamplePixels& pixels, float range) {
  const float one = pixels.x, other = pixels.y;
  float sum = one + other;
  for (int mask = 16; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  float mean = sum / 32;
  if (!(mean < range)) mean = range;  // NaN too
  if (mean < -range) mean = -range;
  const auto beyond = [&](float level) { return one > level || one < -level || other > level || other < -level; };
  const unsigned lit = ballot(beyond(range / 100));
  return {low_half(pack_half2(mean, 0)), ballot(beyond(4 * range)) != 0, (lit & (lit - 1)) == 0};
}

/// SSIM's terms at one position, in those units: 1 - SSIM = 1 - (1 - 2 m / (a + m)) (1 - 2 e / (g + e)).
struct Terms {
  float shifted;  // the mean of s, pivot included
  float a, m;     // ms^2 + 2 C1, md^2
  float g, e;     // 2 C2 + the variances of s and of d
};

/// One warp's state.
class Statistics {
 public:
  __device__ __forceinline__ explicit Statistics(const StatisticsParameters& p) : p_(p) {
    weights_.load(lane_tap(p), p.weights[31]);
  }

  /// At the top of a strip or of a part of one.
  __device__ __forceinline__ void begin(const Sample& sample) {
    pivot_ = sample.pivot;
    for (auto& tile : pending_) {
      for (auto& rows : tile) rows.begin();
    }
  }

  /// Takes the next 8 rows; with kOutput calls output(tile, statistics) for the 8 rows before them.
  /// release(zero) is called when the stage has been read (TensorRing::release), or without kLast, where other warps
  /// keep the stage for longer, when its pixels have been asked for.
  template <Turn kTurn, bool kOutput, bool kLast, typename AnyPixels, typename Release, typename Output>
  __device__ __forceinline__ void step(const AnyPixels& pixels, Release release, Output output) {
    float sums[2][kStatistics][4] = {};
#pragma unroll
    for (int block = 0; block < 3; ++block) {
      Split operands[kStatistics];
      float4 x, y;
      load(pixels, block, x, y);
      form(x, y, operands);
      if (!kLast && block == 2) release(0u);
      for (int tile = 0; tile < 2; ++tile) {
        const int part = block - tile;  // of the tile's 32 columns
        if (part != 0 && part != 1) continue;
        const unsigned(&w)[4] = weights_.horizontal[part];
        for (int i = 0; i < kStatistics; ++i) multiply_add(sums[tile][i], w, operands[i].lo);
        for (int i = 0; i < kStatistics; ++i) multiply_add(sums[tile][i], w, operands[i].hi);
      }
    }
#pragma unroll
    for (int tile = 0; tile < 2; ++tile) {
      Split parts[kStatistics];
      float done[kStatistics][4];
      for (int i = 0; i < kStatistics; ++i) {
        split(sums[tile][i], parts[i], weights_.minus_identity);
        pending_[tile][i].template complete<kTurn, kOutput>(parts[i], weights_.vertical);
        for (int j = 0; j < 4; ++j) done[i][j] = pending_[tile][i].template above<kTurn>()[j];
      }
      if (kOutput) output(tile, done);
      for (int i = 0; i < kStatistics; ++i) {
        pending_[tile][i].template move_on<kTurn>(parts[i], weights_.vertical);
      }
      if (kLast && tile == 1) release(parts[1].hi[1] & p_.weights[31]);  // d: of both images
    }
  }

  /// At the lane's position i of a tile: columns g (0, 1) and g + 8 (2, 3), rows 2 t (0, 2) and 2 t + 1. g is formed
  /// before anything of d comes in: added to E[s^2] - ms^2 first, C2 would drown.
  __device__ __forceinline__ Terms terms(const float (&out)[kStatistics][4], int i) const {
    const float ms = out[0][i], md = out[1][i];
    Terms t;
    t.shifted = fma(p_.scale, pivot_, ms);
    t.a = fma(t.shifted, t.shifted, SSIM_DEFECT(wrong_c1) ? p_.c2 : p_.c1);
    t.m = md * md;
    t.g = fma(-ms, ms, fma(p_.lowered[i], out[2][i], p_.c2));
    t.e = fma(lowered_scale(i) / static_cast<float>(kFactor), out[3][i], -t.m);
    return t;
  }

  __device__ __forceinline__ unsigned minus_identity() const { return weights_.minus_identity; }

 private:
  __device__ __forceinline__ static void load(const Pixels& from, int block, float4& x, float4& y) {
    x = *reinterpret_cast<const float4*>(from.x + 16 * block);
    y = *reinterpret_cast<const float4*>(from.y + 16 * block);
  }

  __device__ __forceinline__ static void load(const ShiftedPixels& from, int block, float4& x, float4& y) {
    const float* const a = (block == 0 ? from.first_x : from.x) + 16 * block;
    const float* const b = (block == 0 ? from.first_y : from.y) + 16 * block;
    const float* const next_a = block == 2 ? from.last_x + 32 : a;
    const float* const next_b = block == 2 ? from.last_y + 32 : b;
    x = {a[0], next_a[1], next_a[2], next_a[3]};
    y = {b[0], next_b[1], next_b[2], next_b[3]};
  }

  __device__ __forceinline__ void form(const float4& a, const float4& b, Split (&operands)[kStatistics]) {
    float s[4] = {a.x - pivot_ + b.x, a.y - pivot_ + b.y, a.z - pivot_ + b.z, a.w - pivot_ + b.w};
    float d[4] = {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w};
    split(s, operands[0], weights_.minus_identity);
    split(d, operands[1], weights_.minus_identity);
    square<false>(operands[0], operands[2], 0);
    square<true>(operands[1], operands[3], p_.factor);
  }

  const StatisticsParameters& p_;
  Weights<Order::pixels> weights_;
  PendingRows pending_[2][kStatistics];  // [tile][statistic]
  float pivot_;                          // taken from s
};

/// The total of a thread in two fp32 numbers (Dekker 1971), in shared memory because registers are scarce.
__device__ __forceinline__ void add_to_total(float2& own, float sum) {
  const float2 before = own;
  const float total = before.x + sum;
  own = {total, before.y + (sum - (total - before.x))};
}

inline constexpr float kNotFinite = std::numeric_limits<float>::infinity();

__device__ __forceinline__ bool is_finite(float v) { return v - v == 0; }

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
