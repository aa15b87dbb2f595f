// SPDX-License-Identifier: MIT
// Google Benchmark as the shell: every key is a benchmark there, and what it reports is what our scheduler measured.
//
// A benchmark's first call measures its whole group side by side; the others of the group then only report. One
// iteration is one converged measurement, its manual time the median. A repetition measures anew.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"
#include "session.hpp"

namespace ssim::bench {

/// What came out of a run, in the order of the plan.
struct Outcome {
  struct Line {
    Key key;
    Result result;
  };
  std::vector<Line> lines;  // first repetition of each key that was reached
};

/// Whether --benchmark_filter lets a key through, by Google Benchmark's rules. Throws Misuse where it is no regex.
KeyFilter google_filter(const Options& options);

/// Registers all keys of the session and runs them. Its own reporters print only if one of its flags was given. Throws
/// WriteFailure where the result file cannot be written any more, Misuse for flags that it does not know.
Outcome run_google(const Options& options, const char* program, Session& session, const Json& environment);

}  // namespace ssim::bench
