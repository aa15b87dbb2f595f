// SPDX-License-Identifier: MIT
#include "explain.hpp"

#include "production.hpp"
#include "registry.hpp"

namespace ssim {
namespace {

std::string version(int capability) { return std::to_string(capability / 10) + "." + std::to_string(capability % 10); }

std::string why_not(const Implementation& row, const Choice& choice, const Problem& problem, Mode mode) {
  if (std::string reason = row.supports(problem, mode); !reason.empty()) return reason;
  if (!candidate(row)) return "production never takes it: it does not promise the accuracy that production does";
  if (row.made_for != 0 && !choice.decision.exact) {
    return "made for compute capability " + version(row.made_for) + ", and not measured on this class of device";
  }
  if (!choice.row) return "the table does not name it";
  return "it would be right too; by the table production prefers " + choice.row->name;
}

std::string why(const Choice& choice, const DeviceClass& of) {
  std::string text = choice.row->idea + "; by " + to_string(*choice.decision.line);
  if (!choice.decision.exact) {
    text += "; compute capability " + version(of.capability) +
            " was not measured: this is the nearest class, less the rows that are made for it";
  }
  return text;
}

}  // namespace

std::vector<RowVerdict> explain(Device device, const Problem& problem, Mode mode) {
  std::string reason;
  if (const Status status = check(problem); !status) return {{"", status.message}};
  if (!device_available(device, &reason)) return {{"", reason}};
  const DeviceClass of = device_class(device);
  const Choice choice = choose(device, of, problem, mode);
  std::vector<RowVerdict> verdicts;
  if (choice.row) {
    verdicts.push_back({choice.row->name, why(choice, of)});
  } else {
    verdicts.push_back({"", "no row supports the problem"});
  }
  for (const Implementation& row : kernel_rows()) {
    if (row.device != device || row.name == "production" || &row == choice.row) continue;
    verdicts.push_back({row.name, why_not(row, choice, problem, mode)});
  }
  return verdicts;
}

}  // namespace ssim
