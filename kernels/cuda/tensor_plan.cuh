// SPDX-License-Identifier: MIT
// Which strips and rows a block works on.
//
// A strip is so many columns of one plane; a block takes one at a time or, with three times the warps, the next three,
// of whichever planes they are. Strips taken together follow one another in a line, each of `groups` groups of 8 output
// rows behind `fill` groups that only begin sums. Every block takes an equal share of that line, so blocks end together
// whatever the shape; a share that begins inside of a strip begins its sums anew.
#pragma once

#include <climits>
#include <cstdint>
#include <type_traits>

#include "primitives.cuh"
#include "tensor_operands.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kBoxColumns = 128;  // columns of statistics that a box of pixels is for

/// How the work is divided. Rows and columns are those of the image.
struct Plan {
  int planes, strips, groups;     // strips of a plane, groups of a strip
  int together;                   // strips that a block takes at once
  int lead;                       // groups above an output group that it needs, and as many below
  int strip_columns;              // output columns of a strip
  int before;                     // columns of pixels before those
  int origin_column, origin_row;  // of the first outputs
  int share, longer;              // blocks before `longer` take share + 1 steps, the others share
};

/// The last strip of each plane, where it is narrower than the others. Its steps take less time, so they are a line of
/// their own, which the last blocks share.
struct Tails {
  int first_block;  // INT_MAX: there is no such line
  int column;       // of their first outputs
  int skipped;      // of two beside one another, columns before those of the second: what there is lies in other warps
  int share, longer;  // as a plan's
};

struct PlanWithTails : Plan {
  Tails tails = {INT_MAX, 0, 0, 0, 0};
};

template <typename AnyPlan>
inline constexpr bool kHasTails = std::is_same_v<AnyPlan, PlanWithTails>;

/// Steps of all strips.
inline std::int64_t line_length(const Plan& p) {
  const std::int64_t strips = static_cast<std::int64_t>(p.planes) * p.strips;
  return (strips + p.together - 1) / p.together * (p.groups + 2 * p.lead);
}

/// Steps that give outputs.
inline std::int64_t output_steps(const Plan& p) { return line_length(p) / (p.groups + 2 * p.lead) * p.groups; }

/// Equal shares of the line for `blocks`.
inline void divide(Plan& plan, std::int64_t blocks) {
  plan.share = static_cast<int>(line_length(plan) / blocks);
  plan.longer = static_cast<int>(line_length(plan) % blocks);
}

/// Shares `blocks` out between whole strips and tails, if that ends no later than equal shares of all and no block gets
/// more than `most` steps: a step of tails takes `cost` of one of whole strips, so their blocks get more of them.
inline void divide_tails(PlanWithTails& plan, double cost, int skipped, std::int64_t blocks, std::int64_t most) {
  if (cost >= 1 || plan.strips < 2 || blocks < 2) return;
  Plan whole = plan, tail = plan;
  whole.strips -= 1;
  tail.strips = 1;
  const std::int64_t whole_length = line_length(whole), tail_length = line_length(tail);
  const auto longest = [](std::int64_t length, std::int64_t of) { return static_cast<double>((length + of - 1) / of); };
  const auto end = [&](std::int64_t first_block) {
    const double a = longest(whole_length, first_block), b = cost * longest(tail_length, blocks - first_block);
    return a > b ? a : b;
  };
  auto first_block =
      static_cast<std::int64_t>(static_cast<double>(blocks * whole_length) /
                                (static_cast<double>(whole_length) + cost * static_cast<double>(tail_length)));
  if (first_block < 1) first_block = 1;
  if (first_block > blocks - 1) first_block = blocks - 1;
  if (first_block + 1 < blocks && end(first_block + 1) < end(first_block)) ++first_block;
  if (end(first_block) > longest(line_length(plan), blocks)) return;
  if (longest(whole_length, first_block) > static_cast<double>(most) ||
      longest(tail_length, blocks - first_block) > static_cast<double>(most)) {
    return;
  }
  divide(whole, first_block);
  divide(tail, blocks - first_block);
  static_cast<Plan&>(plan) = whole;
  plan.tails = {static_cast<int>(first_block), plan.origin_column + whole.strips * plan.strip_columns,
                plan.together > 1 ? skipped : 0, tail.share, tail.longer};
}

/// Consecutive groups of output rows of strips that are taken together.
struct Segment {
  int strip, first, outputs;  // the first strip of all planes', group and number of groups
};

/// The next segment with any output of a block's share, of which `done` steps have been handed out. False at the end.
template <typename AnyPlan>
__device__ __forceinline__ bool next_segment(const AnyPlan& p, int& done, Segment& segment) {
  int block = blockIdx.x, least = p.share, longer = p.longer;
  const int fill = 2 * p.lead;
  if constexpr (kHasTails<AnyPlan>) {
    if (block >= p.tails.first_block) {
      block -= p.tails.first_block;
      least = p.tails.share;
      longer = p.tails.longer;
    }
  }
  const int begin = block * least + (block < longer ? block : longer);
  const int share = least + (block < longer ? 1 : 0);
  while (done < share) {
    const unsigned at = begin + done, length_of_strip = p.groups + fill;
    const unsigned strip = at / length_of_strip;
    const int group = static_cast<int>(at - strip * length_of_strip);
    const int rest = static_cast<int>(length_of_strip) - group, left = share - done;
    const int length = left < rest ? left : rest;
    segment.strip = static_cast<int>(strip) * p.together;
    segment.first = group > fill ? group - fill : 0;
    segment.outputs = group + length - fill - segment.first;
    done += length;
    if (segment.outputs > 0) return true;
  }
  return false;
}

/// Where a strip begins.
struct Place {
  int plane, column;
};

/// The plane may be one behind the last, where strips taken together do not come out even.
template <typename AnyPlan>
__device__ __forceinline__ Place place_of(const AnyPlan& p, int strip) {
  if constexpr (kHasTails<AnyPlan>) {
    if (static_cast<int>(blockIdx.x) >= p.tails.first_block) {
      return {strip, p.tails.column - strip % 2 * p.tails.skipped - (SSIM_DEFECT(tail_misplaced) ? 4 : 0)};
    }
  }
  const unsigned plane = static_cast<unsigned>(strip) / static_cast<unsigned>(p.strips);
  const int own = strip - static_cast<int>(plane) * p.strips;
  return {static_cast<int>(plane), p.origin_column + own * p.strip_columns};
}

/// Columns of a strip that come before its own.
__device__ __forceinline__ int skipped(const PlanWithTails& p, int strip) {
  return static_cast<int>(blockIdx.x) >= p.tails.first_block && !SSIM_DEFECT(tail_half_forgotten)
             ? strip % 2 * p.tails.skipped
             : 0;
}

/// Where the next load goes: 2 `lead` more groups than outputs, from `lead` above the first.
template <int kStrips>
struct Cursor {
  int done, row, left;
  Place place[kStrips];  // of the first pixels

  __device__ __forceinline__ void begin() { done = left = 0; }

  template <typename AnyPlan>
  __device__ __forceinline__ bool advance(const AnyPlan& p) {
    if (left == 0) {
      Segment segment;
      if (!next_segment(p, done, segment)) return false;
      for (int i = 0; i < kStrips; ++i) {
        place[i] = place_of(p, segment.strip + i);
        place[i].column -= p.before;
      }
      row = p.origin_row + (segment.first - p.lead - 1) * kGroup;
      left = segment.outputs + 2 * p.lead;
    }
    row += kGroup;
    --left;
    return true;
  }

  /// Whole warp, where all lanes have the same.
  __device__ __forceinline__ void make_uniform() {
    row = uniform(row);
    for (auto& p : place) p = {uniform(p.plane), uniform(p.column)};
  }

  /// Box i is strip i, or part of the one strip.
  __device__ __forceinline__ Place place_of_box(int i) const {
    if constexpr (kStrips > 1) {
      return place[i];
    } else {
      return {place[0].plane, place[0].column + i * kBoxColumns};
    }
  }
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
