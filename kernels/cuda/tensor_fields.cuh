// SPDX-License-Identifier: MIT
// The warps of tensor_train.cuh that make statistics, SSIM and the three fields of the gradient.
#pragma once

#include "tensor_train_memory.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

/// A warp that makes fields of 32 columns. Its registers are just enough, as those of GradientWarp.
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
      if (!ready) sync_roles<kTrainThreads, Role::first>();
      ready = true;
      if (kTails<AnyMaps> && uniform(flags_ & kOutside) != 0) {
        pass(segment);
        continue;
      }
      // Instructions of two steps a loop do not fit in the cache beside the gradient's where rows are apart.
      constexpr Turn kFirst = kSingle ? Turn::single : Turn::first, kSecond = kSingle ? Turn::single : Turn::second;
      step<kFirst, false>(0);
      step<kSecond, false>(0);
      int left = segment.outputs + 2;
      if constexpr (kSingle) {
#pragma unroll 1
        for (; left > 0; --left) {
          step<kFirst, true>(left);
          if ((segment.outputs - left) % 2 != 0) flush();
        }
      } else {
        for (;;) {
          step<kFirst, true>(left);
          if (--left == 0) break;
          step<kSecond, true>(left);
          flush();
          if (--left == 0) break;
        }
      }
      flush();
      end(index);
    }
    if (!ready) sync_roles<kTrainThreads, Role::first>();
  }

  /// After a barrier of the block: does again what this warp and its gradient warp noted.
  __device__ __forceinline__ void repair() {
    const int warp = static_cast<int>(threadIdx.x / 32), of_strip = warp % kWarpsOfStrip<AnyMaps>;
    auto& buffer = reinterpret_cast<fallback::Buffer*>(&memory_.images.stage[0])[warp];
    const fallback::Images images{p_.x, p_.y, p_.width, p_.height, p_.margin, p_.c1, p_.c2};
    Segment segment;
    for (int done = 0, index = 0; next_segment(p_.plan, done, segment); ++index) {
      const Place place = place_of_warp<AnyMaps>(p_, segment.strip, warp);
      const int first = segment.first * kGroup, end = first + segment.outputs * kGroup;
      const int last = end < p_.height ? end : p_.height;
      if (memory_.repair[warp][index / 32] >> index % 32 & 1) {
        const int own = of_strip * kWarpColumns - kBefore<AnyMaps>, lane = static_cast<int>(threadIdx.x % 32);
        const double loss = fallback::value(images, {place.plane, place.column + own, first, last}, buffer);
        if (own + lane >= skipped_of_warp<AnyMaps>(p_, segment.strip, warp) && own + lane < kGradientColumns<AnyMaps>)
          memory_.done[threadIdx.x] += loss;
      }
      if (memory_.repair[kFieldWarps + warp][index / 32] >> index % 32 & 1) {
        const int own = of_strip * kTilesOfWarp * 16;  // of the gradient warp
        fallback::gradient(images, {place.plane, place.column + own, first, last},
                           static_cast<float>(upstream(p_) * p_.inverse_count), p_.grad_x,
                           own + 32 <= kGradientColumns<AnyMaps> ? 32 : kGradientColumns<AnyMaps> - own, buffer);
      }
    }
  }

  __device__ __forceinline__ double total() const { return memory_.done[threadIdx.x]; }

 private:
  static constexpr bool kSingle = AnyMaps::kRowsApart;

  // Bits of flags_; the first two stand for the lane's four columns g, g + 8, g + 16, g + 24, the next for a tile.
  static constexpr int kInside = 1, kCounts = 16;  // the fields are not zero; SSIM counts in this block
  static constexpr int kAllInside = 256, kBegun = 1024, kOutside = 2048;

  __device__ __forceinline__ void begin(const Segment& segment) {
    const int warp = static_cast<int>(threadIdx.x / 32), lane = static_cast<int>(threadIdx.x % 32);
    const Place place = place_of_warp<AnyMaps>(p_, segment.strip, warp);
    const bool any = place.plane < p_.plan.planes;
    const int first_of_warp = warp % kWarpsOfStrip<AnyMaps> * kWarpColumns;
    const int first = first_of_warp + lane / 4 - kBefore<AnyMaps>;
    const int skipped = skipped_of_warp<AnyMaps>(p_, segment.strip, warp);
    flags_ = 0;
    for (int i = 0; i < 4; ++i) {
      const int own = first + 8 * i, column = place.column + own;
      const bool inside = any && column >= p_.margin && column < p_.width - p_.margin;
      if (inside) flags_ |= kInside << i;
      if (inside && own >= skipped && own < kGradientColumns<AnyMaps>) flags_ |= kCounts << i;
    }
    for (int tile = 0; tile < 2; ++tile) {
      const int both = 3 * kInside << 2 * tile;
      if (ballot((flags_ & both) == both) == 0xffffffffu) flags_ |= kAllInside << tile;
    }
    const int column = place.column + first_of_warp - kBefore<AnyMaps>;
    const bool outside =
        kTails<AnyMaps> &&
        (!any || column + (SSIM_DEFECT(tail_warps_idle) ? kWarpColumns : 0) >= p_.width || first_of_warp < skipped);
    if (outside) flags_ |= kOutside;
    row_ = (segment.first - 1) * kGroup;
    pixels_row_ = PackedShiftedRow(shifted_row(p_.maps, place.plane, p_.height, p_.width, row_ - kGroup + lane / 4,
                                               place.column - p_.plan.before + first_of_warp + lane % 4 * 4));
    const Sample sample =
        plane_sample(sample_pixels(p_.x, p_.y, any ? place.plane : 0, p_.height, p_.width), p_.statistics.range);
    statistics_.begin(sample);
    if (any && !outside && sample.bright) memory_.totals[threadIdx.x].x = kNotFinite;
  }

  /// The steps of a segment for columns that are all outside: fields are zero, and only the others are kept company.
  __device__ __forceinline__ void pass(const Segment& segment) {
    constexpr int kChunk = 8, kChunks = kWarpColumns / kChunk, kRows = kFields * 2 * kGroup;
    const int thread = current_thread(), lane = thread % 32;
#pragma unroll 1
    for (int i = 0; i < segment.outputs + 2 * kTrainLead; ++i) {
      memory_.images.wait(taken_);
      memory_.images.release(taken_++);
      if (i < 2) continue;
      wait_for_stage();
      std::uint16_t* const fields = &memory_.fields[made_ % kFieldStages].half[0][0][0][0] + thread / 32 * kWarpColumns;
      // By stmatrix as all fields. Plain stores racecheck takes for a race: it does not see that lane 0's arrival comes
      // behind the other lanes' (reports/lab-notes.md).
      static_assert(kRows * kChunks % 32 == 0);
      const Half2 zeros[4] = {};
#pragma unroll
      for (int part = 0; part < kRows * kChunks / 32; ++part) {  // as often for all lanes, or counters are not uniform
        const int chunk = lane + 32 * part;
        store_matrix<4, false>(fields + chunk / kChunks * (kFieldColumns + kPad) + chunk % kChunks * kChunk, zeros);
      }
      hand_over();
    }
  }

  /// Until gradient warps have read what lies where the next fields go.
  __device__ __forceinline__ void wait_for_stage() {
    if (made_ >= kFieldStages) mbarrier_wait(memory_.empty[made_ % kFieldStages], (made_ / kFieldStages & 1) ^ 1);
  }

  __device__ __forceinline__ void hand_over() {
    sync_warp();
    if (current_thread() % 32 == 0) mbarrier_arrive(memory_.full[made_ % kFieldStages]);
    ++made_;
  }

  /// left: outputs of this segment from here on. The first and the last are there for their neighbours' gradient alone.
  template <Turn kTurn, bool kOutput>
  __device__ __forceinline__ void step(int left) {
    const auto& stage = memory_.images.wait(taken_);
    const bool rows_inside = row_ >= p_.margin && row_ + kGroup <= p_.height - p_.margin;
    const bool counted = left != 1 && flags_ & kBegun;
    const auto pixels = [&] {
      if constexpr (AnyMaps::kRowsApart) {
        return pixels_of(stage, memory_.zeros, pixels_row_, p_.height);
      } else {
        return pixels_of(stage);
      }
    };
    statistics_.step<kTurn, kOutput, false>(
        pixels(), [&](unsigned) { memory_.images.release(taken_++); },
        [&](int tile, float(&out)[kStatistics][4]) {
          if (tile == 0) wait_for_stage();
          make(tile, out, rows_inside && flags_ & kAllInside << tile, counted);
        });
    if (AnyMaps::kRowsApart) pixels_row_.advance();
    if (kOutput) {
      hand_over();
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
  PackedShiftedRow pixels_row_;
  unsigned taken_ = 0, made_ = 0;
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
