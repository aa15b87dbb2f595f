// SPDX-License-Identifier: MIT
// What the two kinds of warps of tensor_train.cuh share: parameters, sizes, and the block's memory.
#pragma once

#include "block_mean.cuh"
#include "range_fallback.cuh"
#include "tensor_statistics.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kFields = 3;  // F, q, r
inline constexpr int kFieldBoxes = 2, kFieldWarps = kFieldBoxes * kWarpsOfBox, kGradientWarps = 8;
inline constexpr int kTrainThreads = 32 * (kFieldWarps + kGradientWarps);
inline constexpr int kFieldColumns = kFieldBoxes * kBoxColumns;
inline constexpr int kTilesOfWarp = kFieldColumns / 16 / kGradientWarps;
inline constexpr int kTrainLead = 2;
inline constexpr int kFieldRegisters = 160, kGradientRegisters = 96;  // of a thread; 65536 in all
inline constexpr int kTrainStages = 8, kFieldStages = 3;

/// Two strips beside one another in a block, each with margins of its own: less is computed for nothing where a plane
/// is not much wider than one strip, or than two.
template <typename BaseMaps>
struct NarrowStrips : BaseMaps {
  static constexpr int kStrips = 2;
};

/// Images whose planes are no wider than the columns of fields are not cut into strips: of the planes that a block has
/// beside one another (kAtOnce) each is a strip, without margins, for outside of an image fields are zero.
template <typename BaseMaps, int kAtOnce>
struct WholePlanes : BaseMaps {
  static constexpr int kStrips = kAtOnce;
  static constexpr bool kWhole = true;
};

/// Of the eight warps for all columns, of either kind, those of a strip.
template <typename AnyMaps>
inline constexpr int kWarpsOfStrip = kFieldWarps / AnyMaps::kStrips;
static_assert(kFieldWarps == kGradientWarps);
/// Columns of fields before a strip's first gradient, and as many behind its last.
template <typename AnyMaps>
inline constexpr int kBefore = AnyMaps::kWhole ? 0 : kReach;
/// Columns of gradients of a strip.
template <typename AnyMaps>
inline constexpr int kGradientColumns = kFieldColumns / AnyMaps::kStrips - 2 * kBefore<AnyMaps>;

/// Whole planes have no last strip. Of others, warps whose columns are all outside of the image leave its steps out.
template <typename AnyMaps>
using PlanFor = std::conditional_t<AnyMaps::kWhole, Plan, PlanWithTails>;
template <typename AnyMaps>
inline constexpr bool kTails = kHasTails<PlanFor<AnyMaps>>;

/// Gradient warps that have images loaded. The last one has a tile less to do and time for it, also where rows are
/// apart and four times the copies are to be asked for; of whole planes none has, so four do it, one on each scheduler.
template <typename AnyMaps>
inline constexpr int kTrainAskers = (AnyMaps::kRowsApart && AnyMaps::kWhole) ? kGradientWarps / 2 : 1;
/// Fields are largest where images are flat: 1 / (2 C2) = 556 for q~, about twice that for F~ of images in [0, 1].
inline constexpr float kFieldScale = 8;

/// Segments of a block's share: that many bits remember which of them are to be repaired.
inline constexpr int kMostSegments = 256;

template <typename AnyPlan>
struct TrainParameters : ParametersOf<AnyPlan> {
  double unit;  // 4 / (kFieldScale * positions)
  const float* weight;
  float* grad_x;
};

template <typename AnyMaps>
struct TrainParametersWith : WithMaps<TrainParameters<PlanFor<AnyMaps>>, AnyMaps> {};  // a short name in profiles

/// What multiplies the gradient.
template <typename AnyPlan>
__device__ __forceinline__ double upstream(const TrainParameters<AnyPlan>& p) {
  return p.weight ? static_cast<double>(*p.weight) : 1.0;
}

/// 8 rows of the fields, hi and lo. Behind a row are eight zeros, so that 8 rows of a matrix lie in different banks,
/// and because outside of an image, to the right of it and to the left of it one row on, fields are zero.
inline constexpr int kPad = 8;
struct alignas(16) FieldStage {
  std::uint16_t half[kFields][2][kGroup][kFieldColumns + kPad];
};

inline constexpr int kHalvesOfPart = kGroup * (kFieldColumns + kPad);

struct GradientConstants {
  float unit, pivot;  // of the gradient; of the plane
  int index;          // of the segment
};

template <typename AnyMaps>
struct TrainMemory {
  TensorRing<kFieldBoxes, kTrainStages, kTrainAskers<AnyMaps>, AnyMaps::kStrips> images;
  alignas(16) std::uint16_t first_pad[kPad];
  FieldStage fields[kFieldStages];
  Mbarrier full[kFieldStages], empty[kFieldStages];
  GradientConstants constants[kGradientWarps];
  float2 totals[32 * kFieldWarps];                                    // of the current segment, in two fp32 numbers
  double done[32 * kFieldWarps];                                      // of the segments before
  unsigned repair[kFieldWarps + kGradientWarps][kMostSegments / 32];  // bit i: segment i, by the warp that found it
  int any_repair[kFieldWarps + kGradientWarps];                       // by that warp
  Zeros zeros;
  BlockMean mean;
};

/// Where a warp's strip begins, of eight warps for all columns. The plane may be one behind the last.
template <typename AnyMaps>
__device__ __forceinline__ Place place_of_warp(const TrainParametersWith<AnyMaps>& p, int strip, int warp) {
  return place_of(p.plan, strip + (AnyMaps::kStrips > 1 ? warp / kWarpsOfBox : 0));
}

/// Its columns before those that are its own.
template <typename AnyMaps>
__device__ __forceinline__ int skipped_of_warp(const TrainParametersWith<AnyMaps>& p, int strip, int warp) {
  if constexpr (kTails<AnyMaps> && AnyMaps::kStrips > 1) {
    return skipped(p.plan, strip + warp / kWarpsOfBox);
  } else {
    return 0;
  }
}

/// Whole warp: segment number `index` of the share needs repair.
template <typename AnyMaps>
__device__ __forceinline__ void note(TrainMemory<AnyMaps>& memory, int index) {
  sync_warp();
  if (current_thread() % 32 == 0) {
    memory.repair[current_thread() / 32][index / 32] |= 1u << index % 32;
    memory.any_repair[current_thread() / 32] = 1;
  }
  sync_warp();
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
