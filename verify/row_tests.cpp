// SPDX-License-Identifier: MIT
#include "row_tests.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <stdexcept>

#include "baselines/all_rows.hpp"
#include "compare.hpp"
#include "kernels/registry.hpp"

namespace ssim::verify {

std::string cannot_run(Device device) {
  const char* wanted = std::getenv("SUITE_DEVICE");
  const std::string only = wanted ? wanted : "";
  if (!only.empty() && only != "auto" && only != "cpu" && only != "cuda" && only != "cuda-emulated") {
    std::fprintf(stderr, "SUITE_DEVICE = %s must be auto, cpu, cuda or cuda-emulated\n", only.c_str());
    std::exit(2);
  }
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

bool same_bits(const Result& a, const Result& b) {
  return std::memcmp(&a.mean, &b.mean, sizeof a.mean) == 0 && same_bits(a.gradient, b.gradient);
}

PreparedCall::PreparedCall(const Implementation& row, const Problem& problem, Mode mode)
    : row_(row), problem_(problem), mode_(mode) {
  const std::int64_t bytes = problem.elements() * static_cast<std::int64_t>(sizeof(float));
  x_ = Memory(row.device, bytes);
  y_ = Memory(row.device, bytes);
  mean_ = Memory(row.device, sizeof(double));
  if (mode == Mode::train) gradient_ = Memory(row.device, bytes);
  weight_ = Memory(row.device, sizeof(float));
  workspace_ = Memory(row.device, row.workspace_bytes(problem, mode));
  if (workspace_.bytes() == 0) return;
  const Status status = init_workspace(row.device, workspace_.data(), workspace_.bytes());
  if (!status) throw std::runtime_error(status.message);
}

void PreparedCall::upload(const std::vector<float>& x, const std::vector<float>& y, float weight) {
  x_.upload(x.data());
  y_.upload(y.data());
  set_weight(weight);
  synchronize(row_.device);
}

void PreparedCall::poison(unsigned char workspace_byte) {
  mean_.fill(0xFF);
  gradient_.fill(0xFF);
  if (workspace_.bytes() > kControlBytes) {
    workspace_.fill(workspace_byte, kControlBytes, workspace_.bytes() - kControlBytes);
  }
  synchronize(row_.device);
}

Arguments PreparedCall::arguments() const {
  const bool train = mode_ == Mode::train;
  return {.x = x_.as<const float>(),
          .y = y_.as<const float>(),
          .weight = train ? weight_.as<const float>() : nullptr,
          .mean = mean_.as<double>(),
          .grad_x = train ? gradient_.as<float>() : nullptr,
          .workspace = workspace_.bytes() ? workspace_.data() : nullptr,
          .workspace_bytes = workspace_.bytes()};
}

Status PreparedCall::start(void* stream, int threads) const {
  Arguments given = arguments();
  given.stream = stream;
  given.threads = threads;
  return call(row_, problem_, mode_, given);
}

double PreparedCall::mean() const {
  double mean = 0;
  mean_.download(&mean);
  return mean;
}

Result PreparedCall::result() const {
  Result result{.mean = mean(), .gradient = {}};
  if (mode_ == Mode::train) result.gradient = gradient_.download<float>();
  return result;
}

std::string PreparedCall::damage() const {
  for (const Memory* memory : {&x_, &y_, &mean_, &gradient_, &weight_, &workspace_}) {
    if (std::string damage = memory->damage(); !damage.empty()) return "memory was " + damage;
  }
  if (workspace_.bytes() == 0) return "";
  std::vector<unsigned char> block(static_cast<std::size_t>(kControlBytes));
  workspace_.download(block.data(), 0, kControlBytes);
  for (const unsigned char byte : block) {
    if (byte) return "the control block of the workspace is not zero";
  }
  return "";
}

Result run_row(const Implementation& row, const Problem& problem, Mode mode, const std::vector<float>& x,
               const std::vector<float>& y, float weight, int threads) {
  PreparedCall prepared(row, problem, mode);
  prepared.upload(x, y, weight);
  if (const Status s = prepared.start(nullptr, threads); !s) throw std::runtime_error(s.message);
  synchronize(row.device);
  return prepared.result();
}

}  // namespace ssim::verify
