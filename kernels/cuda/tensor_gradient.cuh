// SPDX-License-Identifier: MIT
// The warps of tensor_train.cuh that make the gradient of the fields, and have the images loaded.
#pragma once

#include "tensor_train_memory.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

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
    constexpr int kEarly = kTrainAskers<AnyMaps> == 1 ? 1 : 0;  // before the barrier, because it takes long to come
    const int asker = part();
    if (asker >= 0 && threadIdx.x % 32 == 0) memory_.images.begin(asker);
    for (int i = 0; i < kEarly; ++i) load();
    sync_roles<kTrainThreads, Role::second>();
    for (int i = kEarly; i < kTrainStages; ++i) load();
    Segment segment;
    for (int done = 0; next_segment(p_.plan, done, segment);) {
      if (!begin(segment)) {
        pass(segment);
        continue;
      }
      step<false>();
      step<false>();
#pragma unroll 1
      for (int left = segment.outputs; left > 0; --left) step<true>();
      release_last();
      if (ballot(!is_finite(check_)) != 0) note(memory_, own().index);
    }
  }

 private:
  __device__ __forceinline__ static int warp() { return current_thread() / 32 - kFieldWarps; }
  /// The last warp of a strip has a tile less. Of whole planes those behind the right edge are left out; above all,
  /// ptxas spills where there is no such branch, or one that it does not know to be the same for all of a warp.
  __device__ __forceinline__ bool no_second_tile() const {
    const int own = uniform(warp());
    if (!AnyMaps::kWhole && AnyMaps::kStrips == 1) return own == kGradientWarps - 1;
    if (!AnyMaps::kWhole) return own % kWarpsOfStrip<AnyMaps> == kWarpsOfStrip<AnyMaps> - 1;
    return own % kWarpsOfStrip<AnyMaps> * kTilesOfWarp * 16 + 16 >= p_.width;
  }
  __device__ __forceinline__ static bool loads() { return part() >= 0; }
  /// Its number of those that have images loaded (kTrainAskers); negative: it does not.
  __device__ __forceinline__ static int part() { return uniform(warp()) - (kGradientWarps - kTrainAskers<AnyMaps>); }
  __device__ __forceinline__ GradientConstants& own() { return memory_.constants[warp()]; }

  /// False where there is nothing to do, because all columns are outside of the image or another warp's.
  __device__ __forceinline__ bool begin(const Segment& segment) {
    const int lane = threadIdx.x % 32;
    const Place place = place_of_warp<AnyMaps>(p_, segment.strip, warp());
    const bool any = place.plane < p_.plan.planes;
    const Sample sample =
        plane_sample(sample_pixels(p_.x, p_.y, any ? place.plane : 0, p_.height, p_.width), p_.statistics.range);
    if (lane == 0) {
      own().pivot = sample.pivot;
      ++own().index;
    }
    check_ = any && (sample.bright || (sample.dark && !SSIM_DEFECT(dark_ignored))) ? kNotFinite : 0;
    sync_warp();
    for (auto& tile : pending_) {
      for (auto& rows : tile) rows.begin();
    }
    const int column = place.column + warp() % kWarpsOfStrip<AnyMaps> * kTilesOfWarp * 16 + lane / 4 * 2;
    const int row = segment.first * kGroup + lane % 4;
    const bool others =
        warp() % kWarpsOfStrip<AnyMaps> * kTilesOfWarp * 16 < skipped_of_warp<AnyMaps>(p_, segment.strip, warp());
    const int columns = any && !others ? p_.width - column : 0;
    if constexpr (kRowsApart) {
      columns_ = columns;
    } else {
      rows_ = (p_.height - row) * kRow;
      for (int tile = 0; tile < kTilesOfWarp; ++tile) rows_ += columns > tile * 16 ? 1 << tile : 0;
    }
    const std::int64_t row_of_all = static_cast<std::int64_t>(place.plane) * p_.height + row;
    out_ = p_.grad_x + row_of_all * p_.width + column;
    row_ = PackedShiftedRow(shifted_row(p_.maps, place.plane, p_.height, p_.width, row, 0));
    return !kTails<AnyMaps> || uniform(columns) > 0;  // of lane 0, whose are the first
  }

  /// The steps of a segment for columns that are all outside.
  __device__ __forceinline__ void pass(const Segment& segment) {
#pragma unroll 1
    for (int i = 0; i < segment.outputs + 2; ++i) {
      const unsigned slot = taken_ % kFieldStages;
      mbarrier_wait(memory_.full[slot], taken_ / kFieldStages & 1);
      if (threadIdx.x % 32 == 0) mbarrier_arrive(memory_.empty[slot]);
      release(used_++);
      ++taken_;
    }
    release_last();
  }

  /// The last groups of a segment's images have no gradient here.
  __device__ __forceinline__ void release_last() {
    for (int i = 0; i < kTrainLead; ++i) release(used_++);
  }

  /// Takes the next 8 rows of fields; with kOutput writes the gradient of the 8 rows before them.
  template <bool kOutput>
  __device__ __forceinline__ void step() {
    const unsigned slot = taken_ % kFieldStages;
    const int thread = current_thread(), lane = thread % 32, first_tile = (thread / 32 - kFieldWarps) * kTilesOfWarp;
    // Matrix lane / 8 of the four that a load has: 8 columns each of two blocks of 16.
    const std::uint16_t* fields = &memory_.fields[slot].half[0][0][0][0] + lane % 8 * (kFieldColumns + kPad) +
                                  first_tile * 16 + lane / 8 * 8 - (kReach - kBefore<AnyMaps>);
    // Box 1 begins with a tile of its own. A box begins kReach columns before its first fields.
    const int box = first_tile >= kBoxColumns / 16 ? 1 : 0;
    const int column = first_tile * 16 - box * kBoxColumns + kReach + kBefore<AnyMaps> + lane / 4 * 2;
    const float* pixels = &memory_.images.stage[used_ % kTrainStages].x[box][stage_row<kRowsApart>(lane % 4)][column];
    mbarrier_wait(memory_.full[slot], taken_ / kFieldStages & 1);
#pragma unroll
    for (int tile = 0; tile < kTilesOfWarp; ++tile) {
      if (tile > 0 && no_second_tile()) break;
      Split parts[kFields];
      const std::uint16_t* of_tile = fields + tile * 16;
      if (AnyMaps::kWhole && AnyMaps::kStrips == 2 && !SSIM_DEFECT(plane_beside_read)) {
        // Beside a plane are zeros, not the other one.
        if (first_tile + tile == kBoxColumns / 16 - 1 && lane >= 24) of_tile += kFieldColumns - kBoxColumns;
        if (first_tile + tile == kBoxColumns / 16 && lane < 8) of_tile += kFieldColumns - kBoxColumns + kReach;
      }
      horizontal(of_tile, parts);
      float grad[4];
      const float* from = pixels + tile * 16;
      // The last tile of box 0 may lie in box 1 too, where shifted rows do not end before it does.
      if (kRowsApart && !AnyMaps::kWhole && AnyMaps::kStrips == 1 && first_tile + tile == kBoxColumns / 16 - 1)
        from += kGroup * kLoadColumns - kBoxColumns;
      if (kOutput) {
        for (int i = 0; i < kFields; ++i) {
          pending_[tile][i].template complete<Turn::single, true>(parts[i], weights_.vertical);
        }
        for (int i = 0; i < kFields; ++i) {
          const int field = (i + 1) % kFields;  // q, r, F
          add_field(grad, pending_[tile][field].template above<Turn::single>(), field, from);
        }
      }
      for (int i = 0; i < kFields; ++i) {
        pending_[tile][i].template move_on<Turn::single>(parts[i], weights_.vertical);
      }
      if (kOutput) write(tile, grad);
    }
    sync_warp();
    if (current_thread() % 32 == 0) mbarrier_arrive(memory_.empty[slot]);
    if (kOutput) {
      if (kRowsApart) {
        row_.advance();
      } else {
        rows_ -= kGroup * kRow;
      }
      out_ += static_cast<std::int64_t>(kGroup) * p_.width;
    }
    release(used_++);
    ++taken_;
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
      const float2 x = two_pixels(pixels + j * kOfRow + row_.x());
      const float2 y = two_pixels(pixels + j * kOfRow + kOfY + row_.y());
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
        const int rows = p_.height - row_.row();
        if (4 * j < rows && tile * 16 < columns_) *to = grad[j];
        if (4 * j < rows && tile * 16 + 1 < columns_) to[1] = grad[2 + j];
      } else if (rows_ >= (4 * j + 1) * kRow && rows_ & 1 << tile) {
        *reinterpret_cast<float2*>(to) = {grad[j], grad[2 + j]};  // both are inside: widths are multiples of 4
      }
    }
  }

  /// This warp does not need the oldest stage of images any more: it may be loaded anew.
  __device__ __forceinline__ void release(unsigned stage) {
    memory_.images.release(stage);
    load();
  }

  __device__ __forceinline__ void load() {
    if (loads()) memory_.images.load(p_.plan, p_.maps, p_.height, part());
  }

  static constexpr bool kRowsApart = AnyMaps::kRowsApart;

  const TrainParametersWith<AnyMaps>& p_;
  TrainMemory<AnyMaps>& memory_;
  Weights<Order::fields> weights_;
  PendingRows pending_[kTilesOfWarp][kFields];
  float* out_ = nullptr;  // the lane's first gradient of the step
  // What there is of the image from there on. Where rows are not apart one number has it all: rows times kRow, and a
  // bit for each tile that is inside.
  static constexpr int kRow = 1 << kTilesOfWarp;
  int columns_ = 0, rows_ = 0;
  float check_ = 0;
  PackedShiftedRow row_;
  unsigned taken_ = 0, used_ = 0;  // stages of fields, and of images: each segment has more of these
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
