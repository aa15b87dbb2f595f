// SPDX-License-Identifier: MIT
// One line on stderr that says what is being measured and how long it will still take: updated in place on a terminal,
// printed sparsely otherwise.
#pragma once

#include <string>

namespace ssim::bench {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  /// done of total figures are finished; `what` is a key; `seconds_left` an upper bound.
  void show(int done, int total, const std::string& what, double seconds_left);
  /// A line of its own, e.g. a warning; the progress line comes back below it.
  void note(const std::string& text);
  void clear();

 private:
  bool terminal_;
  double last_ = -1e9;
};

}  // namespace ssim::bench
