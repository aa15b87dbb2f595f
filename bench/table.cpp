// SPDX-License-Identifier: MIT
#include "table.hpp"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace ssim::bench {
namespace {

std::string format(const char* pattern, double value) {
  char text[48];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return format("%.2f us", 1e6 * seconds);
  return seconds < 1 ? format("%.3f ms", 1e3 * seconds) : format("%.3f s", seconds);
}

}  // namespace

std::string table(const Outcome& outcome, const Ceilings& ceilings) {
  std::vector<std::vector<std::string>> rows = {
      {"key", "median", "ps/element", "+-95 %", "n", "GB/s", "% copy", "GFLOP/s", "% FMA", ""}};
  std::string tail;
  for (const auto& [key, result] : outcome.lines) {
    if (result.kind != Result::Kind::measured) {
      tail += std::string(result.kind == Result::Kind::wrong ? "WRONG    " : "skipped  ") + key.text() + ": " +
              result.text.substr(0, result.text.find('\n')) + "\n";
      continue;
    }
    const double seconds = result.summary.median;
    const double gb_s = 1e-9 * result.cost.dram_bytes / seconds, gflop_s = 2e-9 * result.cost.fma / seconds;
    std::string note;
    if (!result.converged) note += "not converged: " + result.text;
    if (result.host_bound) note += std::string(note.empty() ? "" : "; ") + "host-bound";
    if (result.discarded > 0) {
      note += std::string(note.empty() ? "" : "; ") + std::to_string(result.discarded) + " discarded";
    }
    rows.push_back(
        {key.text(), time_text(seconds), format("%.4g", 1e12 * seconds / static_cast<double>(key.shape.elements())),
         result.summary.interval.coverage < 0.95 ? "-" : format("%.2f %%", 100 * result.summary.rel_half_width),
         std::to_string(result.samples), format("%.4g", gb_s),
         ceilings.copy_gb_s > 0 ? format("%.1f", 100 * gb_s / ceilings.copy_gb_s) : "-", format("%.4g", gflop_s),
         ceilings.fma_gflop_s > 0 ? format("%.1f", 100 * gflop_s / ceilings.fma_gflop_s) : "-", note});
  }
  std::string text;
  if (rows.size() > 1) {
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string space(widths[i] - row[i].size(), ' ');
        const bool left = i == 0 || i + 1 == row.size();
        line += (i ? "  " : "") + (left ? row[i] + space : space + row[i]);
      }
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
  }
  return text + tail;
}

}  // namespace ssim::bench
