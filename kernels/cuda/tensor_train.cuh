// SPDX-License-Identifier: MIT
// Value and gradient on tensor cores at fp32 accuracy, in one pass and one launch.
//
// Eight warps make the statistics of 256 columns as the forward kernel does (tensor_statistics.cuh), turn each position
// into SSIM and the three fields of the gradient (pixel.hpp: F = gd + gs, q, r), and hand these over, split into hi and
// lo, through a ring in shared memory. Eight more warps convolve the fields of 240 of these columns the same way, one
// step behind, and combine them with the pixels that are still in the ring of images:
//   d mean / d x = (4 / f) (G * F~ + scale (d G * q~ + s' G * r~)) / positions
// where f = kFieldScale, tilde = fields in the units of the statistics, s' = s less the pivot. Nothing passes through
// device memory but the images and the gradient: 12 bytes an element.
//
// stmatrix transposes on the way: a lane has one column and two rows of a field, a B operand wants one row and two
// columns. Both roles meet at mbarriers alone, so either may run ahead as far as the rings reach.
//
// Cost model: a multiprocessor's step is 8 rows x 240 columns. Per scheduler two warps of statistics (2 x 764 cycles)
// and fields (2 x 310), and 3.75 tiles of 16 columns of gradient (240 each): 3050 cycles for 480 elements, 6.1 ps an
// element at 100 %; reports/lab-notes.md has the parts.
//
// Range: that of the statistics, and fields below 65504 / kFieldScale. A warp notes the segments in which it got
// anything that is not finite; when the block is through, those warps' columns are done again in plain fp32
// (range_fallback.cuh).
#pragma once

#include "block_mean.cuh"
#include "range_fallback.cuh"
#include "tensor_statistics.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kFields = 3;  // F, q, r
inline constexpr int kFieldBoxes = 2, kFieldWarps = kFieldBoxes * kWarpsOfBox, kGradientWarps = 8;
inline constexpr int kTrainThreads = 32 * (kFieldWarps + kGradientWarps);
inline constexpr int kFieldColumns = kFieldBoxes * kBoxColumns;
inline constexpr int kGradientColumns = kFieldColumns - 2 * kReach, kTiles = kGradientColumns / 16;
inline constexpr int kTilesOfWarp = (kTiles + kGradientWarps - 1) / kGradientWarps;
inline constexpr int kTrainLead = 2;
inline constexpr int kFieldRegisters = 152, kGradientRegisters = 104;  // of a thread; 65536 in all
inline constexpr int kTrainStages = 8, kFieldStages = 3;
template <typename AnyMaps>
inline constexpr int kTrainAskers = AnyMaps::kRowsApart ? kGradientWarps / 2 : 1;

/// Fields are largest where images are flat: 1 / (2 C2) = 556 for q~, about twice that for F~ of images in [0, 1].
inline constexpr float kFieldScale = 8;

/// Segments of a block's share: that many bits remember which of them are to be repaired.
inline constexpr int kMostSegments = 256;

struct TrainParameters : Parameters {
  double unit;  // 4 / (kFieldScale * positions)
  const float* weight;
  float* grad_x;
};

template <typename AnyMaps>
using TrainParametersWith = WithMaps<TrainParameters, AnyMaps>;

/// What multiplies the gradient.
__device__ __forceinline__ double upstream(const TrainParameters& p) {
  return p.weight ? static_cast<double>(*p.weight) : 1.0;
}

/// 8 rows of the fields, hi and lo. A row is padded by 16 bytes, so that 8 rows of a matrix lie in different banks.
struct alignas(16) FieldStage {
  std::uint16_t half[kFields][2][kGroup][kFieldColumns + 8];
};

inline constexpr int kHalvesOfPart = kGroup * (kFieldColumns + 8);

struct GradientConstants {
  float unit, pivot;  // of the gradient; of the plane
  int index;          // of the segment
};

template <typename AnyMaps>
struct TrainMemory {
  TensorRing<kFieldBoxes, kTrainStages, kTrainAskers<AnyMaps>, 1> images;
  FieldStage fields[kFieldStages];
  Mbarrier full[kFieldStages], empty[kFieldStages];
  GradientConstants constants[kGradientWarps];
  float2 totals[32 * kFieldWarps];                                    // of the current segment, in two fp32 numbers
  double done[32 * kFieldWarps];                                      // of the segments before
  unsigned repair[kFieldWarps + kGradientWarps][kMostSegments / 32];  // bit i: segment i, by the warp that found it
  int any_repair;
  Zeros zeros;
  BlockMean mean;
};

/// Whole warp: segment number `index` of the share needs repair.
template <typename AnyMaps>
__device__ __forceinline__ void note(TrainMemory<AnyMaps>& memory, int index) {
  sync_warp();
  if (current_thread() % 32 == 0) {
    memory.repair[current_thread() / 32][index / 32] |= 1u << index % 32;
    memory.any_repair = 1;
  }
  sync_warp();
}

/// A warp that makes fields of 32 columns. Its registers are just enough, as those of GradientWarp below.
template <typename AnyMaps>
class FieldWarp {
 public:
  __device__ __forceinline__ FieldWarp(const TrainParametersWith<AnyMaps>& p, TrainMemory<AnyMaps>& memory)
      : p_(p), memory_(memory), statistics_(p.statistics) {
    memory.totals[threadIdx.x] = {0, 0};
    memory.done[threadIdx.x] = 0;
  }

  /// The block's share of the work.
  __device__ __forceinline__ void run() {
    Segment segment;
    bool ready = false;
    for (int done = 0, index = 0; next_segment(p_.plan, done, segment); ++index) {
      begin(segment);  // before the barrier, because it waits for memory
      if (!ready) sync_block();
      ready = true;
      step<0, false>(0);
      step<1, false>(0);
      for (int left = segment.outputs + 2;;) {
        step<0, true>(left);
        if (--left == 0) break;
        step<1, true>(left);
        flush();
        if (--left == 0) break;
      }
      flush();
      end(index);
    }
    if (!ready) sync_block();
  }

  /// After a barrier of the block: does again what this warp and its gradient warp noted.
  __device__ __forceinline__ void repair() {
    const int warp = static_cast<int>(threadIdx.x / 32);
    auto& buffer = reinterpret_cast<fallback::Buffer*>(&memory_.images.stage[0])[warp];
    const fallback::Images images{p_.x, p_.y, p_.width, p_.height, p_.margin, p_.c1, p_.c2};
    Segment segment;
    for (int done = 0, index = 0; next_segment(p_.plan, done, segment); ++index) {
      const Place place = place_of(p_.plan, segment.strip);
      const int first = segment.first * kGroup, end = first + segment.outputs * kGroup;
      const int last = end < p_.height ? end : p_.height;
      if (memory_.repair[warp][index / 32] >> index % 32 & 1) {
        const int own = warp * kWarpColumns - kReach, lane = static_cast<int>(threadIdx.x % 32);
        const double loss = fallback::value(images, {place.plane, place.column + own, first, last}, buffer);
        if (own + lane >= 0 && own + lane < kGradientColumns) memory_.done[threadIdx.x] += loss;
      }
      if (memory_.repair[kFieldWarps + warp][index / 32] >> index % 32 & 1) {
        const int own = warp * kTilesOfWarp * 16;  // of the gradient warp
        fallback::gradient(images, {place.plane, place.column + own, first, last},
                           static_cast<float>(upstream(p_) * p_.inverse_count), p_.grad_x,
                           own + 32 <= kGradientColumns ? 32 : kGradientColumns - own, buffer);
      }
    }
  }

  __device__ __forceinline__ double total() const { return memory_.done[threadIdx.x]; }

 private:
  // Bits of flags_; the first two stand for the lane's four columns g, g + 8, g + 16, g + 24.
  static constexpr int kInside = 1, kCounts = 16;  // the fields are not zero; SSIM counts in this block
  static constexpr int kAllInside = 256, kBegun = 512;

  __device__ __forceinline__ void begin(const Segment& segment) {
    const Place place = place_of(p_.plan, segment.strip);
    const int first =
        static_cast<int>(threadIdx.x / 32) * kWarpColumns + static_cast<int>(threadIdx.x % 32 / 4) - kReach;
    flags_ = 0;
    for (int i = 0; i < 4; ++i) {
      const int own = first + 8 * i, column = place.column + own;
      const bool inside = column >= p_.margin && column < p_.width - p_.margin;
      if (inside) flags_ |= kInside << i;
      if (inside && own >= 0 && own < kGradientColumns) flags_ |= kCounts << i;
    }
    if (ballot(flags_ % kCounts == kCounts - 1) == 0xffffffffu) flags_ |= kAllInside;
    row_ = (segment.first - 1) * kGroup;
    column_ = place.column - 2 * kReach;
    shifts_ = shifts_of(
        p_.maps,
        static_cast<std::int64_t>(place.plane) * p_.height + row_ + static_cast<std::int64_t>(threadIdx.x % 32 / 4),
        p_.width);
    const Sample sample = plane_sample(sample_pixels(p_.x, p_.y, place.plane, p_.height, p_.width), p_.statistics.range);
    statistics_.begin(sample);
    if (sample.bright) memory_.totals[threadIdx.x].x = kNotFinite;
  }

  /// left: outputs of this segment from here on. The first and the last are there for their neighbours' gradient alone.
  template <int kSlot, bool kOutput>
  __device__ __forceinline__ void step(int left) {
    const auto& stage = memory_.images.wait(taken_);
    const bool plain = flags_ & kAllInside && row_ >= p_.margin && row_ + kGroup <= p_.height - p_.margin;
    const bool counted = left != 1 && flags_ & kBegun;
    const auto pixels = [&] {
      if constexpr (AnyMaps::kRowsApart) {
        // Those of the group below the fields, which the first two steps do not make yet.
        const int row = row_ + (kOutput ? kGroup : kSlot == 1 ? 0 : -kGroup);
        return pixels_of(stage, memory_.zeros, shifts_, row, p_.height,
                         column_ + current_thread() / 32 * kWarpColumns);
      } else {
        return pixels_of(stage);
      }
    };
    statistics_.step<kSlot, kOutput>(
        pixels(), [&] { memory_.images.release(taken_++); },
        [&](int tile, float(&out)[kStatistics][4]) {
          if (tile == 0 && made_ >= kFieldStages) {
            mbarrier_wait(memory_.empty[made_ % kFieldStages], (made_ / kFieldStages & 1) ^ 1);
          }
          make(tile, out, plain, counted);
        });
    if (kOutput) {
      sync_warp();
      if (current_thread() % 32 == 0) mbarrier_arrive(memory_.full[made_ % kFieldStages]);
      ++made_;
      row_ += kGroup;
      flags_ |= kBegun;
    }
  }

  /// Fields and 1 - SSIM of a tile's four positions of this lane: columns g (0, 1) and g + 8 (2, 3), rows 2 t and 2 t
  /// + 1.
  __device__ __forceinline__ void make(int tile, const float (&out)[kStatistics][4], bool plain, bool counted) {
    float fields[kFields][4], loss[4];
    for (int i = 0; i < 4; ++i) {
      const Terms t = statistics_.terms(out, i);
      const float below = t.a + t.m, right = t.g + t.e, inverse = reciprocal_fast(below * right);
      const float ia = inverse * right, ib = inverse * below;
      const float h = t.m * ia, w = t.e * ib;                      // u / 2, v / 2
      loss[i] = fma(-2 * h, w, h + w);                             // (1 - SSIM) / 2
      const float l = fma(h, -2 * kFieldScale, kFieldScale) * ib;  // (1 - u) / B
      const float s = fma(w, -2 * kFieldScale, kFieldScale) * ia;  // (1 - v) / A
      const float r = l * w, q = r - l, sh = s * h;
      fields[1][i] = q;
      fields[2][i] = r;
      const float of_d = out[1][i] * (s - sh + q);
      fields[0][i] = fma(t.shifted, sh, -fma(out[0][i], r, of_d));
    }
    if (!plain) {
      sync_warp();  // keeps the compiler from doing all this every time, with predicates
      for (int i = 0; i < 4; ++i) {
        const int row = row_ + current_thread() % 4 * 2 + i % 2;
        const bool inside = row >= p_.margin && row < p_.height - p_.margin && flags_ & kInside << (2 * tile + i / 2);
        if (inside) continue;
        loss[i] = fields[0][i] = fields[1][i] = fields[2][i] = 0;
      }
    }
    if (counted) {
      for (int i = 0; i < 2; ++i) loss_ += flags_ & kCounts << (2 * tile + i) ? loss[2 * i] + loss[2 * i + 1] : 0;
    }
    // Matrix lane / 8 of the four that a store has: columns 0-7 and 8-15 of hi, then of lo.
    const int thread = current_thread(), lane = thread % 32;
    std::uint16_t* at = &memory_.fields[made_ % kFieldStages].half[0][lane / 16][lane % 8][lane / 8 % 2 * 8] +
                        thread / 32 * kWarpColumns + 16 * tile;
    for (int field = 0; field < kFields; ++field) {
      Split parts;
      split(fields[field], parts, statistics_.minus_identity());
      const Half2 matrices[4] = {parts.hi[0], parts.hi[1], parts.lo[0], parts.lo[1]};
      store_matrix<4, true>(at + field * 2 * kHalvesOfPart, matrices);
    }
  }

  __device__ __forceinline__ void flush() {
    add_to_total(memory_.totals[current_thread()], loss_);
    loss_ = 0;
  }

  /// Adds the segment's total, or notes that it is none.
  __device__ __forceinline__ void end(int index) {
    float2& own = memory_.totals[current_thread()];
    if (ballot(!is_finite(own.x)) == 0) {
      memory_.done[current_thread()] += 2 * (static_cast<double>(own.x) + static_cast<double>(own.y));
    } else {
      note(memory_, index);
    }
    own = {0, 0};
  }

  const TrainParametersWith<AnyMaps>& p_;
  TrainMemory<AnyMaps>& memory_;
  Statistics statistics_;
  float loss_ = 0;  // (1 - SSIM) / 2
  int flags_ = 0, row_ = 0;
  int column_ = 0;  // of the block's first pixels
  Shifts shifts_ = {0, 0};
  unsigned taken_ = 0, made_ = 0;
};

/// A warp that convolves the fields of 32 columns and writes the gradient. One of them also has the images loaded.
///
/// Its registers are few (kGradientRegisters), and a spill would go to L2, because shared memory leaves no L1: what can
/// be had again is not kept. Hence current_thread(), and constants in shared memory.
template <typename AnyMaps>
class GradientWarp {
 public:
  __device__ __forceinline__ GradientWarp(const TrainParametersWith<AnyMaps>& p, TrainMemory<AnyMaps>& memory)
      : p_(p), memory_(memory) {
    weights_.load(lane_tap(p.statistics), p.statistics.weights[31]);
    if (threadIdx.x % 32 == 0) {
      own().unit = static_cast<float>(p.unit * upstream(p));
      own().index = -1;
    }
  }

  __device__ __forceinline__ void run() {
    constexpr int kBefore = kTrainAskers<AnyMaps> == 1 ? 1 : 0;  // before the barrier, because it takes long to come
    if (loads()) memory_.images.begin(part());
    for (int i = 0; i < kBefore; ++i) load();
    sync_block();
    for (int i = kBefore; i < kTrainStages; ++i) load();
    Segment segment;
    for (int done = 0; next_segment(p_.plan, done, segment);) {
      begin(segment);
      step<0, false>();
      step<1, false>();
      for (int left = segment.outputs;;) {
        step<0, true>();
        if (--left == 0) break;
        step<1, true>();
        if (--left == 0) break;
      }
      for (int i = 0; i < kTrainLead; ++i) release();  // the last groups of images have no gradient here
      if (ballot(!is_finite(check_)) != 0) note(memory_, own().index);
    }
  }

 private:
  __device__ __forceinline__ static int warp() { return current_thread() / 32 - kFieldWarps; }
  /// The warp with one tile less has the time to; four times the copies are for every other one.
  __device__ __forceinline__ static bool loads() {
    return kTrainAskers<AnyMaps> == 1 ? current_thread() == kTrainThreads - 32 : current_thread() % 64 == 32;
  }
  __device__ __forceinline__ static int part() { return kTrainAskers<AnyMaps> == 1 ? 0 : warp() / 2; }
  __device__ __forceinline__ GradientConstants& own() { return memory_.constants[warp()]; }

  __device__ __forceinline__ void begin(const Segment& segment) {
    const int lane = threadIdx.x % 32;
    const Place place = place_of(p_.plan, segment.strip);
    const Sample sample = plane_sample(sample_pixels(p_.x, p_.y, place.plane, p_.height, p_.width), p_.statistics.range);
    if (lane == 0) {
      own().pivot = sample.pivot;
      ++own().index;
    }
    check_ = sample.bright || sample.dark ? kNotFinite : 0;
    sync_warp();
    for (auto& slot : pending_) {
      for (auto& tile : slot) {
        for (auto& sum : tile) sum[0] = sum[1] = sum[2] = sum[3] = 0;
      }
    }
    const int column = place.column + warp() * kTilesOfWarp * 16 + lane / 4 * 2;
    const int row = segment.first * kGroup + lane % 4;
    columns_ = p_.width - column;
    rows_ = p_.height - row;
    const std::int64_t row_of_all = static_cast<std::int64_t>(place.plane) * p_.height + row;
    out_ = p_.grad_x + row_of_all * p_.width + column;
    shifts_ = shifts_of(p_.maps, row_of_all, p_.width);
  }

  /// Takes the next 8 rows of fields into slot kSlot; with kOutput writes the gradient of the 8 rows before them.
  template <int kSlot, bool kOutput>
  __device__ __forceinline__ void step() {
    const unsigned slot = taken_ % kFieldStages;
    const int thread = current_thread(), lane = thread % 32, first_tile = (thread / 32 - kFieldWarps) * kTilesOfWarp;
    // Matrix lane / 8 of the four that a load has: 8 columns each of two blocks of 16.
    const std::uint16_t* fields = &memory_.fields[slot].half[0][0][lane % 8][first_tile * 16 + lane / 8 * 8];
    // Box 1 begins with a tile of its own. A box begins kReach columns before its first fields, and these as many
    // before the first gradient.
    const int box = first_tile >= kBoxColumns / 16 ? 1 : 0;
    const int column = first_tile * 16 - box * kBoxColumns + 2 * kReach + lane / 4 * 2;
    const float* pixels = &memory_.images.stage[used_ % kTrainStages].x[box][stage_row<kRowsApart>(lane % 4)][column];
    mbarrier_wait(memory_.full[slot], taken_ / kFieldStages & 1);
#pragma unroll
    for (int tile = 0; tile < kTilesOfWarp; ++tile) {
      if (tile > 0 && current_thread() >= kTrainThreads - 32) break;  // the last warp has a tile less
      Split parts[kFields];
      horizontal(fields + tile * 16, parts);
      float grad[4];
      const float* from = pixels + tile * 16;
      // The last tile of box 0 lies in box 1 too, where shifted rows do not end before it does.
      if (kRowsApart && first_tile + tile == kBoxColumns / 16 - 1) from += kGroup * kLoadColumns - kBoxColumns;
      for (int i = 0; i < kFields; ++i) {
        const int field = (i + 1) % kFields;  // q, r, F
        float(&done)[4] = pending_[kSlot][tile][field];
        if (kOutput) add_rows(done, parts[field], weights_.vertical[2]);
        add_rows(pending_[1 - kSlot][tile][field], parts[field], weights_.vertical[1]);
        if (kOutput) add_field(grad, done, field, from);
        for (float& v : done) v = 0;
        add_rows(done, parts[field], weights_.vertical[0]);
      }
      if (kOutput) write(tile, grad);
    }
    sync_warp();
    if (current_thread() % 32 == 0) mbarrier_arrive(memory_.empty[slot]);
    if (kOutput) {
      rows_ -= kGroup;
      out_ += static_cast<std::int64_t>(kGroup) * p_.width;
    }
    ++taken_;
    release();
  }

  /// G * fields of 16 columns along the rows, split again.
  __device__ __forceinline__ void horizontal(const std::uint16_t* fields, Split (&out)[kFields]) {
    float sums[kFields][4] = {};
    for (int part = 1; part >= 0; --part) {  // lo before hi: fewer large sums are cut off
      Half2 operands[kFields][4];
      for (int i = 0; i < kFields; ++i) load_matrix<4, false>(operands[i], fields + (2 * i + part) * kHalvesOfPart);
      for (int block = 0; block < 2; ++block) {
        for (int i = 0; i < kFields; ++i) {
          multiply_add(sums[i], weights_.horizontal[block], {operands[i][2 * block], operands[i][2 * block + 1]});
        }
      }
    }
    for (int i = 0; i < kFields; ++i) split(sums[i], out[i], weights_.minus_identity);
  }

  /// What a field brings to the lane's four gradients of a tile: columns 2 g (0, 1) and 2 g + 1 (2, 3), rows t and t
  /// + 4.
  __device__ __forceinline__ void add_field(float (&grad)[4], const float (&sums)[4], int field, const float* pixels) {
    constexpr int kOfY = kFieldBoxes * kGroup * kLoadColumns;    // from a pixel of x to that of y
    constexpr int kOfRow = (kRowsApart ? 1 : 4) * kLoadColumns;  // from row t to t + 4
    const float pivot = field == 2 ? own().pivot : 0, unit = field == 0 ? own().unit : 0;
    for (int j = 0; j < 2; ++j) {
      if (field == 0) {
        grad[j] = unit * fma(p_.statistics.scale, grad[j], sums[j]);
        grad[2 + j] = unit * fma(p_.statistics.scale, grad[2 + j], sums[2 + j]);
        continue;
      }
      const float2 x = two_pixels(pixels + j * kOfRow + shifts_.x);
      const float2 y = two_pixels(pixels + j * kOfRow + kOfY + shifts_.y);
      if (field == 1) {
        grad[j] = (x.x - y.x) * sums[j];
        grad[2 + j] = (x.y - y.y) * sums[2 + j];
      } else {
        grad[j] = fma(x.x - pivot + y.x, sums[j], grad[j]);
        grad[2 + j] = fma(x.y - pivot + y.y, sums[2 + j], grad[2 + j]);
      }
    }
  }

  __device__ __forceinline__ static float2 two_pixels(const float* from) {
    if constexpr (kRowsApart) {
      return {from[0], from[1]};
    } else {
      return *reinterpret_cast<const float2*>(from);
    }
  }

  __device__ __forceinline__ void write(int tile, const float (&grad)[4]) {
    for (int j = 0; j < 2; ++j) {
      check_ = fma(grad[j], 0.0f, check_);
      check_ = fma(grad[2 + j], 0.0f, check_);
      float* const to = out_ + static_cast<std::int64_t>(4 * j) * p_.width + tile * 16;
      if constexpr (kRowsApart) {
        if (4 * j < rows_ && tile * 16 < columns_) *to = grad[j];
        if (4 * j < rows_ && tile * 16 + 1 < columns_) to[1] = grad[2 + j];
      } else if (4 * j < rows_ && tile * 16 < columns_) {
        *reinterpret_cast<float2*>(to) = {grad[j], grad[2 + j]};  // both are inside: widths are multiples of 4
      }
    }
  }

  /// This warp does not need the oldest stage of images any more: it may be loaded anew.
  __device__ __forceinline__ void release() {
    memory_.images.release(used_++);
    load();
  }

  __device__ __forceinline__ void load() {
    if (loads()) memory_.images.load(p_.plan, p_.maps, p_.height, part());
  }

  static constexpr bool kRowsApart = AnyMaps::kRowsApart;

  const TrainParametersWith<AnyMaps>& p_;
  TrainMemory<AnyMaps>& memory_;
  Weights<Order::fields> weights_;
  float pending_[2][kTilesOfWarp][kFields][4];  // [slot][tile][field]
  float* out_ = nullptr;                        // the lane's first gradient of the step
  int columns_ = 0, rows_ = 0;                  // of the image from there on
  float check_ = 0;
  Shifts shifts_ = {0, 0};
  unsigned taken_ = 0, used_ = 0;
};

template <typename AnyMaps>
__global__ void __launch_bounds__(kTrainThreads, 1)
    tensor_train(const __grid_constant__ TrainParametersWith<AnyMaps> p) {
  if constexpr (kRegistersMove) {
    auto& memory = shared<TrainMemory<AnyMaps>>();
    if (threadIdx.x == kTrainThreads - 32) {  // that loads the images, and goes ahead before the barrier
      p.maps.prefetch();
      memory.images.init(kFieldWarps + kGradientWarps);
      for (int i = 0; i < kFieldStages; ++i) {
        mbarrier_init(memory.full[i], kFieldWarps);
        mbarrier_init(memory.empty[i], kGradientWarps);
      }
      fence_mbarrier_init();
    }
    for (unsigned i = threadIdx.x; i < sizeof(memory.repair) / sizeof(unsigned); i += kTrainThreads) {
      (&memory.repair[0][0])[i] = 0;
    }
    if (AnyMaps::kRowsApart && threadIdx.x < sizeof(Zeros) / sizeof(float)) memory.zeros.value[threadIdx.x] = 0;
    if (threadIdx.x == 0) memory.any_repair = 0;
    double total = 0;
    if (threadIdx.x < 32 * kFieldWarps) {
      raise_registers<kFieldRegisters>();
      FieldWarp<AnyMaps> warp(p, memory);
      warp.run();
      sync_block();
      if (memory.any_repair) warp.repair();
      total = warp.total();
    } else {
      lower_registers<kGradientRegisters>();
      GradientWarp<AnyMaps> warp(p, memory);
      warp.run();
      sync_block();
    }
    finish_mean<kTrainThreads>(total, memory.mean, p.sums, p.counter, p.inverse_count, p.mean);
  }
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
