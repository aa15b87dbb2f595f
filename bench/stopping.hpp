// SPDX-License-Identifier: MIT
// The stopping rule: sample until the median is known well enough, or until the row's time is up.
//
// Where processes take turns (turns.hpp) all must have the same rounds, or they drift apart: then a number of rounds is
// all that counts.
//
// Converged: at least min_samples samples in at least min_rounds rounds, and the 95 % order-statistic interval of their
// median within +-half_width of it. A row whose calls take over a second needs fewer samples, but never fewer than six,
// below which no 95 % interval exists.
#pragma once

#include <string>

#include "statistics.hpp"

namespace ssim::bench {

struct StoppingRule {
  double half_width = 0.01;        // relative, of the 95 % interval
  std::size_t min_samples = 32;    // for calls of up to long_call_seconds
  std::size_t min_long = 5;        // for longer ones
  double long_call_seconds = 1.0;  // by the median so far
  int min_rounds = 5;
  int exact_rounds = 0;     // above 0: so many, and nothing else is asked
  double cap_seconds = 10;  // wall time that the row may take in all, flushes and warm-ups included
};

enum class Decision { go_on, converged, capped };

/// `samples`: seconds per call, in any order. `rounds`: how many the samples come from. `spent`: wall time so far.
Decision decide(const StoppingRule& rule, const std::vector<double>& samples, int rounds, double spent);

/// What a capped row lacks, e.g. "12 of 32 samples; interval +-3.1 %, wanted +-1.0 %"; "" where the rule is met.
std::string unmet(const StoppingRule& rule, const std::vector<double>& samples, int rounds);

}  // namespace ssim::bench
