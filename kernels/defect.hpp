// SPDX-License-Identifier: MIT
// Mistakes that rows make on purpose, for tests of the tests: `if (SSIM_DEFECT(weight_ignored)) ...` in a row's source
// is constant false, except in the copies that verify/ compiles with SSIM_WITH_DEFECTS, where one of them is on at a
// time. Every defect that a row has must be caught by verify/test_mutants.cpp.
#pragma once

#define SSIM_DEFECTS(defect)                                                                              \
  defect(zero_gradient) defect(tap_wrong) defect(window_off_by_one) defect(wrong_c2) defect(term_dropped) \
      defect(halo_right) defect(last_row_skipped) defect(batch_ignored) defect(output_accumulated)        \
          defect(write_past_end) defect(input_modified) defect(not_deterministic) defect(nan_swallowed)   \
              defect(padding_ignored) defect(weight_ignored) defect(control_block_dirty)

namespace ssim {

enum class Defect : int {
  none,
#define SSIM_DEFECT_NAME(name) name,
  SSIM_DEFECTS(SSIM_DEFECT_NAME)
#undef SSIM_DEFECT_NAME
};

}  // namespace ssim

#if SSIM_WITH_DEFECTS
namespace ssim {
/// Whether this defect is on; notes that the row has it.
bool defect_active(Defect defect);
}  // namespace ssim
#define SSIM_DEFECT(name) ::ssim::defect_active(::ssim::Defect::name)
#else
#define SSIM_DEFECT(name) (::ssim::Defect::name == ::ssim::Defect::none)
#endif
