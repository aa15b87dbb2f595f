// SPDX-License-Identifier: MIT
#include "row_tests.hpp"

#include <cstdlib>
#include <deque>
#include <stdexcept>

#include "baselines/all_rows.hpp"
#include "kernels/registry.hpp"
#include "memory.hpp"

namespace ssim::verify {

std::string cannot_run(Device device) {
  const char* wanted = std::getenv("SUITE_DEVICE");
  const std::string only = wanted ? wanted : "";
  if (!only.empty() && only != "auto" && only != to_string(device))
    return "rows of device " + only + " only were asked for";
  std::string reason;
  if (device_available(device, &reason)) return "";
  return std::string("device ") + to_string(device) + " is not available: " + reason;
}

const Case& shared_case(Device device, const CaseSpec& spec, std::uint64_t seed) {
  struct Kept {
    std::string name;
    std::unique_ptr<Case> one;
  };
  static std::deque<Kept> kept;
  const Problem& p = spec.problem;
  std::string name = to_string(device);
  for (const std::int64_t n : {p.batch, p.channels, p.height, p.width, static_cast<std::int64_t>(p.padding),
                               spec.offset, static_cast<std::int64_t>(seed)}) {
    name += ":" + std::to_string(n);
  }
  name += ":" + spec.input_class;
  for (const Kept& k : kept) {
    if (k.name == name) return *k.one;
  }
  if (kept.size() >= 8) kept.pop_front();
  kept.push_back({name, std::make_unique<Case>(device, p, spec.input_class, seed, spec.offset)});
  return *kept.back().one;
}

void each_row_mode_padding(Registrar& registrar, const std::string& suite,
                           const std::function<void(const Implementation&, Mode, Padding)>& body) {
  for (const Implementation& row : all_rows()) {
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        const std::string name = key(row) + ":" + to_string(mode) + ":" + to_string(padding);
        registrar.add(suite, name, [&row, mode, padding, body] {
          if (const std::string reason = cannot_run(row.device); !reason.empty()) {
            skip(reason, row.device == Device::cuda);
            return;
          }
          body(row, mode, padding);
        });
      }
    }
  }
}

Result run_row(const Implementation& row, const Problem& problem, Mode mode, const std::vector<float>& x,
               const std::vector<float>& y, float weight, int threads) {
  const std::int64_t bytes = problem.elements() * static_cast<std::int64_t>(sizeof(float));
  const bool train = mode == Mode::train;
  Memory on_x(row.device, bytes), on_y(row.device, bytes), mean(row.device, sizeof(double));
  Memory grad(row.device, train ? bytes : 0), on_weight(row.device, sizeof(float));
  Memory workspace(row.device, row.workspace_bytes(problem, mode));
  on_x.upload(x.data());
  on_y.upload(y.data());
  on_weight.upload(&weight);
  if (workspace.bytes()) {
    if (const Status s = init_workspace(row.device, workspace.data(), workspace.bytes()); !s) {
      throw std::runtime_error(s.message);
    }
  }
  const Arguments arguments{.x = on_x.as<const float>(),
                            .y = on_y.as<const float>(),
                            .weight = train ? on_weight.as<const float>() : nullptr,
                            .mean = mean.as<double>(),
                            .grad_x = train ? grad.as<float>() : nullptr,
                            .workspace = workspace.bytes() ? workspace.data() : nullptr,
                            .workspace_bytes = workspace.bytes(),
                            .threads = threads};
  if (const Status s = call(row, problem, mode, arguments); !s) throw std::runtime_error(s.message);
  synchronize(row.device);
  Result result;
  mean.download(&result.mean);
  if (train) result.gradient = grad.download<float>();
  return result;
}

}  // namespace ssim::verify
