// SPDX-License-Identifier: MIT
#include "accuracy_table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "compare.hpp"
#include "inputs.hpp"

namespace ssim::verify {
namespace {

// Three digits: more would differ between compilers and say nothing.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", value);
  return std::strtod(text, nullptr);
}

std::string describe(const Problem& p) {
  return std::to_string(p.batch) + "x" + std::to_string(p.channels) + "x" + std::to_string(p.height) + "x" +
         std::to_string(p.width) + " " + to_string(p.padding);
}

}  // namespace

void add(Worst& worst, const Verdict& v, const Problem& problem, Mode mode) {
  const double positions = static_cast<double>(problem.counted());
  const auto raise = [](double& most, double value) { most = std::max(most, value); };
  ++worst.cases;
  worst.failures += !v.ok;
  if (v.mean_error > worst.mean) worst.mean_at = describe(problem);
  raise(worst.mean, v.mean_error);
  raise(worst.mean_rooted, v.mean_error * std::sqrt(positions));
  if (positions >= kMany) raise(worst.mean_of_many, v.mean_error);
  raise(worst.loss, v.loss_error);
  raise(worst.loss_rooted, v.loss_error * std::sqrt(positions));
  raise(worst.mean_share, v.mean_share);
  if (mode == Mode::infer) return;
  ++worst.gradients;
  if (v.gradient_error > worst.gradient && v.worst >= 0) {
    worst.gradient_at = describe(problem) + ", " + place(problem, v.worst);
  }
  raise(worst.gradient, v.gradient_error);
  raise(worst.unit, v.gradient_unit_error);
  raise(worst.corner, v.gradient_corner);
  raise(worst.edge, v.gradient_edge);
  raise(worst.interior, v.gradient_interior);
  raise(worst.gradient_share, v.gradient_share);
}

Json to_json(const Table& table, const std::string& command, Json environment) {
  Json rows = Json::array();
  for (const auto& [row, classes] : table) {
    for (const InputClass& c : input_classes()) {
      const auto found = classes.find(c.name);
      if (found == classes.end()) continue;
      const Worst& w = found->second;
      Json line = {{"device", to_string(row->device)},
                   {"name", row->name},
                   {"class", c.name},
                   {"cases", w.cases},
                   {"failures", w.failures},
                   {"mean", rounded(w.mean)},
                   {"mean_at", w.mean_at},
                   {"mean_of_many", rounded(w.mean_of_many)},
                   {"mean_rooted", rounded(w.mean_rooted)},
                   {"loss", rounded(w.loss)},
                   {"loss_rooted", rounded(w.loss_rooted)},
                   {"mean_share", rounded(w.mean_share)}};
      if (w.gradients > 0) {
        line.update({{"gradient", rounded(w.gradient)},
                     {"gradient_at", w.gradient_at},
                     {"gradient_unit", rounded(w.unit)},
                     {"corner", rounded(w.corner)},
                     {"edge", rounded(w.edge)},
                     {"interior", rounded(w.interior)},
                     {"gradient_share", rounded(w.gradient_share)}});
      }
      rows.push_back(line);
    }
  }
  return {{"schema", 1}, {"command", command}, {"environment", std::move(environment)}, {"rows", std::move(rows)}};
}

}  // namespace ssim::verify
