// SPDX-License-Identifier: MIT
// The worst errors of each row on each input class, and how they are written down.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "check.hpp"
#include "environment.hpp"

namespace ssim::verify {

/// Positions from which on a mean counts as one over many: its error is then that of the sum, no longer that of the
/// single positions.
inline constexpr double kMany = 1000;

/// Worst over all cases of a row and class; a gradient that no case has leaves its fields at 0.
struct Worst {
  double mean = 0, mean_of_many = 0;  // |mean - oracle|, over all cases and over those of kMany positions or more
  double mean_rooted = 0;             // |mean - oracle| * sqrt(positions)
  double loss = 0, loss_rooted = 0;   // relative to 1 - SSIM; the same * sqrt(positions)
  double gradient = 0, unit = 0;      // in units of its RMS (or peak, or 1 / N: check.hpp), and of 1 / N
  double corner = 0, edge = 0, interior = 0;
  double mean_share = 0, gradient_share = 0;  // of what is allowed
  std::string mean_at, gradient_at;           // problem; problem and position
  int cases = 0, gradients = 0, failures = 0;
};

/// Rows in the order of all_rows().
using Table = std::vector<std::pair<const Implementation*, std::map<std::string, Worst>>>;

void add(Worst& worst, const Verdict& verdict, const Problem& problem, Mode mode);

/// {"schema": 1, "command", "environment", "rows": [{"device", "name", "class", ...}]}; reports/accuracy.py makes the
/// page of it, test_tolerance.cpp holds the tolerances against it. What is infinite is null.
Json to_json(const Table& table, const std::string& command, Json environment);

}  // namespace ssim::verify
