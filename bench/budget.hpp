// SPDX-License-Identifier: MIT
// How a set keeps its time: the cap of each row follows from what is left of the budget.
//
// What is left, less what the verification of later problems will take, is shared among the figures that are still to
// be measured, weighted by the clock's overhead and the square root of their size: a large problem has long calls. Rows
// that converge early leave their share to those that follow; and since most do, shares are promised beyond what is
// there, by as much as groups so far have left. Verification is foreseen by a line through what it took so far: so much
// a problem, and so much an element. From small problems alone, which come first, that says little about large ones: it
// never gets more than half of what is left.
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

  /// Seconds that each figure of group `index` may take when `elapsed` seconds of the budget are gone. `checked`: this
  /// group's checks are done. Not below 0.
  double cap(std::size_t index, double elapsed, bool checked) const;
  /// Images, first calls and verification of a group took so long.
  void took_checks(std::size_t index, double seconds);
  /// A group's figures, whose caps came to `allotted` seconds, took `spent`.
  void took(double allotted, double spent);
  /// Upper bound of what is still to come from group `index` on: what is left of the budget, or less if every figure
  /// takes its largest cap.
  double remaining(std::size_t index, double elapsed) const;

 private:
  // Of the checks from group `first` on.
  double checks(std::size_t first) const;

  double seconds_, max_cap_, allotted_ = 0, spent_ = 0;
  std::vector<Part> parts_;
  // Sums over the groups that were checked, x their elements, y seconds.
  double n_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;
};

}  // namespace ssim::bench
