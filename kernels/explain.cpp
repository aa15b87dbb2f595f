// SPDX-License-Identifier: MIT
#include "explain.hpp"

#include "production.hpp"
#include "registry.hpp"

namespace ssim {
namespace {

std::string why_not(const Implementation& row, const Implementation* chosen, const Problem& problem, Mode mode) {
  if (std::string reason = row.supports(problem, mode); !reason.empty()) return reason;
  return chosen ? "it would be right too; production prefers " + chosen->name : "production never takes it";
}

}  // namespace

std::vector<RowVerdict> explain(Device device, const Problem& problem, Mode mode) {
  std::string reason;
  if (const Status status = check(problem); !status) return {{"", status.message}};
  if (!device_available(device, &reason)) return {{"", reason}};
  const Implementation* chosen = choose(device, problem, mode);
  std::vector<RowVerdict> verdicts;
  if (chosen) {
    verdicts.push_back({chosen->name, chosen->idea});
  } else {
    verdicts.push_back({"", "no row supports the problem"});
  }
  for (const Implementation& row : kernel_rows()) {
    if (row.device != device || row.name == "production" || (chosen && row.name == chosen->name)) continue;
    verdicts.push_back({row.name, why_not(row, chosen, problem, mode)});
  }
  return verdicts;
}

}  // namespace ssim
