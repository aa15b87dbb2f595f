// SPDX-License-Identifier: MIT
// production: the row that is fastest by the measured table (selection_table.hpp) among those that support the problem.
//
// Cost: a lookup a call, under 0.1 us of host time, and what supports() takes.
// Run: ./suite report --filter ':production:' ; ./suite tune
#include "production.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "registry.hpp"

namespace ssim {
namespace {

Status none(const Problem& problem) {
  return Status::error(Status::Code::unsupported, "no row supports %lldx%lldx%lldx%lld with padding %s",
                       static_cast<long long>(problem.batch), static_cast<long long>(problem.channels),
                       static_cast<long long>(problem.height), static_cast<long long>(problem.width),
                       to_string(problem.padding));
}

using Rows = std::array<const Implementation*, SelectionLine::kMostRows>;

// The rows of every line, looked up once: a small image's call is short. Null where this build has none.
std::vector<Rows> find_rows(Device device) {
  std::vector<Rows> found;
  for (const SelectionLine& line : selection_lines()) {
    Rows& rows = found.emplace_back();
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = line.rows[i] ? find_row(device, line.rows[i]) : nullptr;
  }
  return found;
}

const Rows& rows_of(Device device, const SelectionLine& line) {
  static const std::array tables = {find_rows(Device::cpu), find_rows(Device::cuda), find_rows(Device::cuda_emulated)};
  return tables[static_cast<std::size_t>(device)][static_cast<std::size_t>(&line - selection_lines().data())];
}

std::uintptr_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// Base pointers decide with the width how wide loads may be.
const Implementation* choose_for(Device device, const Problem& problem, Mode mode, const Arguments& arguments) {
  std::uintptr_t pointers = address(arguments.x) | address(arguments.y);
  if (mode == Mode::train) pointers |= address(arguments.grad_x);
  return choose(device, problem, mode, pointers).row;
}

// Enough for every alignment that base pointers may have: the workspace is asked for before they are known.
std::int64_t most_workspace(Device device, const Problem& problem, Mode mode) {
  const DeviceClass of = device_class(device);
  const Implementation* before = nullptr;
  std::int64_t most = 0;
  for (int alignment = row_alignment(problem); alignment >= 4; alignment /= 2) {
    const Implementation* row = choose(device, of, problem, mode, static_cast<std::uintptr_t>(alignment)).row;
    if (row && row != before) most = std::max(most, row->workspace_bytes(problem, mode));
    before = row;
  }
  return most;
}

}  // namespace

bool candidate(const Implementation& row) {
  return row.basis == Basis::sum_difference && row.centred && !row.mean_is_fp32 && row.repeatable && row.capturable &&
         row.rounds_mean && !row.baseline && row.name != "production";
}

Choice choose(Device device, const DeviceClass& of, const Problem& problem, Mode mode, std::uintptr_t pointers) {
  Choice choice{nullptr, decide(device, of, problem, mode, row_alignment(problem, pointers))};
  for (const Implementation* row : rows_of(device, *choice.decision.line)) {
    if (!row || (row->made_for != 0 && !choice.decision.exact)) continue;
    if (!row->supports(problem, mode).empty()) continue;
    choice.row = row;
    return choice;
  }
  return choice;
}

Choice choose(Device device, const Problem& problem, Mode mode, std::uintptr_t pointers) {
  return choose(device, device_class(device), problem, mode, pointers);
}

Implementation production(Device device) {
  return {
      .name = "production",
      .idea = "what users get: the best row for the device, the shape and the mode",
      .device = device,
      .tile = {},
      .fp16_taps = device != Device::cpu,  // those of the least exact row that it may choose
      .supports = [device](const Problem& problem, Mode mode) -> std::string {
        return choose(device, problem, mode).row ? "" : none(problem).message;
      },
      .workspace_bytes = [device](const Problem& problem, Mode mode) { return most_workspace(device, problem, mode); },
      .value = [device](const Problem& problem, const Arguments& arguments) -> Status {
        const Implementation* row = choose_for(device, problem, Mode::infer, arguments);
        return row ? row->value(problem, arguments) : none(problem);
      },
      .value_and_grad = [device](const Problem& problem, const Arguments& arguments) -> Status {
        const Implementation* row = choose_for(device, problem, Mode::train, arguments);
        return row ? row->value_and_grad(problem, arguments) : none(problem);
      },
      .cost = [device](const Problem& problem, Mode mode) -> Cost {
        const Implementation* row = choose(device, problem, mode).row;
        return row ? row->cost(problem, mode) : Cost{};
      },
  };
}

}  // namespace ssim
