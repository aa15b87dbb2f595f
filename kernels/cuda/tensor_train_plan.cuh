// SPDX-License-Identifier: MIT
// How tensor_train.cuh divides its work: how a block's columns are used, and how many blocks share the strips.
#pragma once

#include "tensor_train_memory.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

/// How a block's columns are used: as one strip or two, or for one plane or two.
enum class Columns { strip, strips, plane, planes };

/// Not divided yet.
inline Plan plan(const Problem& p, Columns use) {
  const bool whole = use == Columns::plane || use == Columns::planes;
  const int together = use == Columns::strips || use == Columns::planes ? 2 : 1;
  const int columns = kFieldColumns / together - (whole ? 0 : 2 * kReach);
  return {.planes = static_cast<int>(p.planes()),
          .strips = static_cast<int>((p.width + columns - 1) / columns),
          .groups = static_cast<int>((p.height + kGroup - 1) / kGroup),
          .together = together,
          .lead = kTrainLead,
          .strip_columns = columns,
          .before = whole ? kReach : 2 * kReach,
          .origin_column = 0,
          .origin_row = 0,
          .share = 0,
          .longer = 0};
}

/// What a step of the last strip of each plane takes of that of a whole one. Where half of a strip's warps have all
/// columns that are in the image, each scheduler has one warp that makes fields and not two, and this one's
/// instructions wait for one another: 78 us in place of 110 of 64x3x256 images of 24 to 120 columns and of 240, 47 us
/// in place of 64 of 24 to 56 columns and of 112 (H200, driver 580.159.04, 29 November 2026).
inline double cost_of_tail(const Plan& plan, const Problem& p) {
  const std::int64_t columns = p.width - std::int64_t{plan.strips - 1} * plan.strip_columns;
  return columns + 2 * kReach <= kFieldColumns / plan.together / 2 ? 0.73 : 1;
}

/// What takes the fewest steps; of equals whole planes, which have no margins, and then one strip.
inline Columns use_of_columns(const Problem& p) {
  if (p.width <= kBoxColumns) return p.planes() > 1 ? Columns::planes : Columns::strip;
  if (p.width <= kFieldColumns && p.width > kGradientColumns<Maps>) return Columns::plane;
  const auto steps = [&](Columns use) {
    const Plan all = plan(p, use);
    return static_cast<double>(line_length(all)) * (all.strips - 1 + cost_of_tail(all, p)) / all.strips;
  };
  return steps(Columns::strips) < steps(Columns::strip) ? Columns::strips : Columns::strip;
}

inline Plan plan(const Problem& p) { return plan(p, use_of_columns(p)); }

/// Steps of a block's share that has no more segments than can be remembered.
inline std::int64_t longest_share(const Plan& plan) {
  return (kMostSegments - 2) * std::int64_t{plan.groups + 2 * kTrainLead};
}

/// One a multiprocessor; more where a share would be too long.
inline std::int64_t blocks(const Problem& p) {
  const Plan whole = plan(p);
  const std::int64_t outputs = output_steps(whole), most = multiprocessors();
  const std::int64_t least = (line_length(whole) + longest_share(whole) - 1) / longest_share(whole);
  return least > most ? least : outputs < most ? outputs : most;
}

/// Shares the narrow last strips of a plan that has been divided out to blocks of their own, where it has such.
inline void divide_tails(PlanWithTails& plan, const Problem& p, std::int64_t count) {
  divide_tails(plan, cost_of_tail(plan, p), kBoxColumns / 2, count, longest_share(plan));
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
