// SPDX-License-Identifier: MIT
// production: the fastest row that supports the problem, in a fixed order of preference per device and mode.
//
// Cost: a walk over a handful of entries per call. Run: ./suite report --filter ':production:'
#include "production.hpp"

#include <array>

#include "registry.hpp"

namespace ssim {
namespace {

// Best first. The order is what reports/results/ measured; rows that refuse a problem are passed over.
constexpr std::array<const char*, 5> kPreferred = {"tensor_train", "tensor", "stream", "reference", "naive"};

Status none(const Problem& problem) {
  return Status::error(Status::Code::unsupported, "no row supports %lldx%lldx%lldx%lld with padding %s",
                       static_cast<long long>(problem.batch), static_cast<long long>(problem.channels),
                       static_cast<long long>(problem.height), static_cast<long long>(problem.width),
                       to_string(problem.padding));
}

}  // namespace

const Implementation* choose(Device device, const Problem& problem, Mode mode) {
  for (const char* name : kPreferred) {
    const Implementation* row = find_row(device, name);
    if (row && row->supports(problem, mode).empty()) return row;
  }
  return nullptr;
}

Implementation production(Device device) {
  return {
      .name = "production",
      .idea = "what users get: the best row for the device, the shape and the mode",
      .device = device,
      .tile = {},
      .fp16_taps = device != Device::cpu,  // those of the least exact row that it may choose
      .supports = [device](const Problem& problem, Mode mode) -> std::string {
        return choose(device, problem, mode) ? "" : none(problem).message;
      },
      .workspace_bytes = [device](const Problem& problem, Mode mode) -> std::int64_t {
        const Implementation* row = choose(device, problem, mode);
        return row ? row->workspace_bytes(problem, mode) : 0;
      },
      .value = [device](const Problem& problem, const Arguments& arguments) -> Status {
        const Implementation* row = choose(device, problem, Mode::infer);
        return row ? row->value(problem, arguments) : none(problem);
      },
      .value_and_grad = [device](const Problem& problem, const Arguments& arguments) -> Status {
        const Implementation* row = choose(device, problem, Mode::train);
        return row ? row->value_and_grad(problem, arguments) : none(problem);
      },
      .cost = [device](const Problem& problem, Mode mode) -> Cost {
        const Implementation* row = choose(device, problem, mode);
        return row ? row->cost(problem, mode) : Cost{};
      },
  };
}

}  // namespace ssim
