// SPDX-License-Identifier: MIT
// The command line of ssim_bench.
#pragma once

#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include "key.hpp"
#include "sets.hpp"
#include "turns.hpp"

namespace ssim::bench {

/// What was given is not allowed: exit status 2.
struct Misuse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string device = "auto";
  std::string set = "claim";
  std::string sets_file;
  std::string filter;         // regular expression, searched in the key's text
  std::vector<Clock> clocks;  // empty: those of the set
  std::string out;
  bool resume = false;
  Settings settings = Settings::best;
  bool ceilings = true;
  std::string spin_key;  // of the row that a slow-down is planted in
  double spin_fraction = 0;
  Turns turns;           // with other processes
  int rounds = 0;        // 0: as many as the stopping rule wants
  double calibrate = 0;  // seconds of watching for drift; 0: no calibration
  bool upstream_protocol = false;
  bool list = false;
  int threads = 0;     // 0: all CPUs that this process may use
  double seconds = 0;  // 0: the set's budget
  std::uint64_t seed = 1;
  std::int64_t offset = 0;           // bytes by which images are off alignment
  std::vector<std::string> profile;  // row names
  int profile_calls = 1;
  Shape profile_shape{1, 3, 1080, 1920};
  Mode profile_mode = Mode::train;
  Padding profile_padding = Padding::same;
  std::vector<std::string> google;  // --benchmark_* as given
  bool help = false;
  std::string help_text;
};

/// Parses and checks everything that can be checked without rows and devices; throws Misuse.
Options parse_options(int argc, const char* const* argv);

/// A regular expression as filters use it; throws Misuse with the flag's name.
std::regex parse_regex(const std::string& flag, const std::string& text);

/// Value of a Google Benchmark flag, "--benchmark_NAME=value" or alone ("true").
std::optional<std::string> google_flag(const Options& options, const std::string& name);

}  // namespace ssim::bench
