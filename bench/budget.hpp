// SPDX-License-Identifier: MIT
// How a set keeps its time: the cap of each row follows from what is left of the budget.
//
// What is left, less what the verification of later problems will take, is shared among the figures that are still to
// be measured, weighted by the square root of their size: a large problem has long calls. Rows that converge early
// leave their share to those that follow; and since most do, shares are promised beyond what is there, by as much as
// groups so far have left.
#pragma once

#include <cstddef>
#include <vector>

namespace ssim::bench {

class Budget {
 public:
  struct Part {
    int keys = 0;         // figures of a group
    double elements = 0;  // of its problem
  };
  Budget(double seconds, double max_cap, std::vector<Part> parts);

  /// Seconds that each figure of group `index` may take when `elapsed` seconds of the budget are gone, and checking
  /// took `check_rate` seconds per unit of check_weight in the groups before. `checked`: this group's checks are among
  /// them already. Not below 0.
  double cap(std::size_t index, double elapsed, double check_rate, bool checked) const;
  /// A group's figures, whose caps came to `allotted` seconds, took `spent`.
  void took(double allotted, double spent);
  /// What the checks of a problem cost in units of an element: a part that grows with it, and one that does not (what
  /// libraries pay at first calls), without which tiny problems would make large ones look endless.
  static double check_weight(double elements) { return elements + 500e3; }
  /// Upper bound of what is still to come from group `index` on: what is left of the budget, or less if every figure
  /// takes its largest cap.
  double remaining(std::size_t index, double elapsed) const;

 private:
  double seconds_, max_cap_, allotted_ = 0, spent_ = 0;
  std::vector<Part> parts_;
};

}  // namespace ssim::bench
