// SPDX-License-Identifier: MIT
// Mistakes that rows make on purpose, for tests of the tests: `if (SSIM_DEFECT(weight_ignored)) ...` in a row's source.
//
// In every build that is used it is a constant false. The sources are compiled once more with SSIM_WITH_DEFECTS=1 for
// verify/test_mutants.cpp, where one defect is on at a time: a row with it is a mutant, and the check that stands
// beside the defect's name below must catch it. A row has the defects that its source asks for; which those are is
// found by running it. On a card each file has a copy of the number of the defect that is on; launch() sets it.
#pragma once

#include "host_device.hpp"

#if !defined(SSIM_WITH_DEFECTS)
#define SSIM_WITH_DEFECTS 0
#endif

// defect(name, the check that must catch it): of verify_row (check.hpp) `oracle` (mean or gradient), `gradient`,
// `memory` or `repeat`; `nan` of the properties; `race`: found by the emulation alone, a card may get by.
// clang-format off
#define SSIM_DEFECTS(defect) \
  /* arithmetic */ \
  defect(tap_wrong, oracle) \
  defect(vertical_tap_wrong, oracle) \
  defect(window_off_by_one, oracle) \
  defect(wrong_c1, oracle) \
  defect(wrong_c2, oracle) \
  defect(constants_fixed, oracle) \
  defect(term_dropped, gradient) \
  defect(pivot_not_moved, oracle) \
  defect(lo_dropped, oracle) \
  defect(dark_ignored, gradient) \
  /* borders, tails, seams */ \
  defect(halo_right, oracle) \
  defect(valid_border_off, oracle) \
  defect(tail_columns, oracle) \
  defect(last_row_skipped, oracle) \
  defect(gradient_row_skipped, gradient) \
  defect(row_counted_twice, oracle) \
  defect(segment_seam, gradient) \
  defect(partials_row_off, gradient) \
  defect(ring_index, oracle) \
  defect(padding_ignored, oracle) \
  defect(shift_ignored, oracle) \
  defect(row_before_read, oracle) \
  defect(next_plane_read, oracle) \
  defect(plane_beside_read, gradient) \
  defect(tail_misplaced, oracle) \
  defect(tail_warps_idle, oracle) \
  defect(tail_half_forgotten, oracle) \
  /* planes and grids */ \
  defect(batch_ignored, oracle) \
  defect(wrong_plane_partials, gradient) \
  defect(grid_limit, oracle) \
  defect(stale_pending, oracle) \
  defect(last_block_forgotten, oracle) \
  defect(arrival_early, oracle) \
  /* outputs, arguments, memory */ \
  defect(rounded_mean_forgotten, oracle) \
  defect(zero_gradient, gradient) \
  defect(weight_ignored, gradient) \
  defect(weight_squared, gradient) \
  defect(output_accumulated, gradient) \
  defect(write_past_end, memory) \
  defect(input_modified, memory) \
  defect(control_block_dirty, memory) \
  defect(not_deterministic, repeat) \
  defect(nan_swallowed, nan) \
  defect(barrier_missing, race)
// clang-format on

namespace ssim {

enum class Defect : int {
  none,
#define SSIM_DEFECT_NAME(name, check) name,
  SSIM_DEFECTS(SSIM_DEFECT_NAME)
#undef SSIM_DEFECT_NAME
};

}  // namespace ssim

#if SSIM_WITH_DEFECTS
namespace ssim {
/// Host: whether this defect is on; notes that the row has it.
bool defect_active(Defect defect);
/// The defect that is on.
Defect defect_now();
/// 1, and a little more with each call.
double defect_drift();

namespace {
#if defined(__CUDACC__)
__device__ int defect_on_card;  // this file's
#endif
SSIM_HOST_DEVICE bool defect_here(Defect defect) {
#if defined(__CUDA_ARCH__)
  return defect_on_card == static_cast<int>(defect);
#else
  return defect_active(defect);
#endif
}
}  // namespace
}  // namespace ssim
#define SSIM_DEFECT(name) ::ssim::defect_here(::ssim::Defect::name)
#define SSIM_DRIFT() (SSIM_DEFECT(not_deterministic) ? ::ssim::defect_drift() : 1.0)
#else
#define SSIM_DEFECT(name) (::ssim::Defect::name == ::ssim::Defect::none)
#define SSIM_DRIFT() 1.0
#endif
