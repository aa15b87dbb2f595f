// SPDX-License-Identifier: MIT
#include "preparation.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <exception>
#include <utility>

#include "baselines/settings.hpp"
#include "cpu_timer.hpp"
#include "nvtx.hpp"
#include "verify/compare.hpp"

#if SSIM_BENCH_CUDA
#include "verify/oracle_cuda.hpp"
#endif

namespace ssim::bench {
namespace {

// Never zeros, which no cache or power limit would notice. No row's time depends on what is in the images.
constexpr const char* kImageClass = "uniform";
// A first call may take this long and get a second one: cuDNN's search among its algorithms was seen to take 8 s.
constexpr double kSlowestFirstCall = 15;
// Fewer calls than this in a row's time tell nothing: the row is skipped as too slow.
constexpr double kFewestCalls = 3;
constexpr std::int64_t kProbes = 64;

std::uint64_t bits_of(Device device, const verify::Memory& gradient, std::int64_t elements) {
#if SSIM_BENCH_CUDA
  if (device == Device::cuda) return verify::cuda::fingerprint(gradient.as<const float>(), elements);
#endif
  (void)device;
  return verify::fingerprint(gradient.as<const float>(), elements);
}

}  // namespace

bool out_of_memory(const std::string& text) {
  for (const char* phrase : {"out of memory", "not enough memory", "can't allocate memory", "bad_alloc"}) {
    if (text.find(phrase) != std::string::npos) return true;
  }
  return false;
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 1 ? "%.2g s" : "%.1f s", seconds);
  return text;
}

void Candidate::call() const {
  const Status status = ssim::call(*item->row, problem, mode, arguments);
  if (!status) throw std::runtime_error(status.message);
}

Preparation::Preparation(Device device, std::uint64_t seed, int threads, Gpu* gpu, std::int64_t offset)
    : device_(device), seed_(seed), threads_(threads), gpu_(gpu), offset_(offset) {}

Preparation::~Preparation() = default;

std::string Preparation::begin(const Group& group) {
  const Problem problem = group.problem();
  const bool same =
      case_problem_ && case_problem_->padding == problem.padding &&
      Shape{case_problem_->batch, case_problem_->channels, case_problem_->height, case_problem_->width} == group.shape;
  try {
    if (!same) {
      case_.reset();
      case_problem_.reset();
      gradient_ = {};
      baselines::release_cached_memory();  // the next problem may need what LibTorch holds from the last one
      case_ = std::make_unique<verify::Case>(device_, problem, kImageClass, seed_, offset_);
      case_problem_ = problem;
    }
    if (group.mode == Mode::train && gradient_.bytes() == 0) {
      gradient_ = verify::Memory(device_, problem.elements() * static_cast<std::int64_t>(sizeof(float)), offset_);
    }
    return "";
  } catch (const std::exception& error) {
    case_.reset();
    case_problem_.reset();
    gradient_ = {};
    return std::string("the images do not fit into memory (") + error.what() + ")";
  }
}

// One call with its outputs and its memory looked at.
void Preparation::note(Candidate& candidate) {
  const auto call_and_wait = [&] {
    candidate.call();
    if (gpu_) gpu_->synchronize();
  };
  candidate.memory = baselines::count_memory(call_and_wait, candidate.arguments.grad_x);
  candidate.answer.mean = candidate.mean.download<double>().front();
  if (candidate.mode != Mode::train) return;
  const std::int64_t elements = candidate.problem.elements();
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, bits_of(device_, gradient_, elements));
  candidate.answer.gradient_bits = text;
  const std::int64_t probes = std::min(kProbes, elements);
  for (std::int64_t i = 0; i < probes; ++i) {
    float value = 0;
    // The middle of each part: spread over planes, rows and columns.
    const std::int64_t index = elements / probes * i + elements / probes / 2;
    gradient_.download(&value, index * static_cast<std::int64_t>(sizeof value), sizeof value);
    candidate.answer.gradient_probes.push_back(value);
  }
}

Preparation::Prepared Preparation::prepare(const Group& group, const Group::Item& item, double seconds,
                                           const std::string& share) {
  const Problem problem = group.problem();
  const Implementation& row = *item.row;
  if (std::string reason = row.supports(problem, group.mode); !reason.empty()) return {nullptr, std::move(reason)};
  auto candidate = std::make_unique<Candidate>();
  Candidate& c = *candidate;
  c.item = &item;
  c.problem = problem;
  c.mode = group.mode;
  c.cost = row.cost(problem, group.mode);
  c.workspace_bytes = row.workspace_bytes(problem, group.mode);
  void* const stream = gpu_ ? gpu_->stream() : nullptr;
  try {
    c.mean = verify::Memory(device_, sizeof(double));
    if (c.workspace_bytes > 0) {
      c.workspace = verify::Memory(device_, c.workspace_bytes);
      verify::synchronize(device_);  // the memory's own fill may be on another stream
      const Status status = init_workspace(device_, c.workspace.data(), c.workspace_bytes, stream);
      if (!status) throw std::runtime_error(status.message);
    }
  } catch (const std::exception& error) {
    return {nullptr, "its workspace of " + std::to_string(c.workspace_bytes) + " bytes does not fit into memory (" +
                         error.what() + ")"};
  }
  c.arguments = {.x = case_->x(),
                 .y = case_->y(),
                 .mean = c.mean.as<double>(),
                 .grad_x = group.mode == Mode::train ? gradient_.as<float>() : nullptr,
                 .workspace = c.workspace.data(),
                 .workspace_bytes = c.workspace_bytes,
                 .stream = stream,
                 .threads = threads_};
  const auto timed_call = [&] {
    const double begin = steady_seconds();
    c.call();
    if (gpu_) gpu_->synchronize();
    return steady_seconds() - begin;
  };
  try {
    // A first call, not for the record: does the row fit into its time? What only a first call pays (libraries that
    // initialise themselves) must not decide, so a slow one gets a second chance.
    c.call_seconds = timed_call();
    if (kFewestCalls * c.call_seconds > seconds && c.call_seconds < kSlowestFirstCall) {
      c.call_seconds = std::min(c.call_seconds, timed_call());
    }
    if (kFewestCalls * c.call_seconds > seconds) {
      return {nullptr, "too slow: one call takes " + seconds_text(c.call_seconds) + ", and " + share + " gives it " +
                           seconds_text(seconds)};
    }
    {
      const Range range(range_name(group.key(item, item.clocks.front())) + ":verify");
      c.verdict = verify::verify_row(row, *case_, group.mode);
    }
    c.verified = c.verdict.ok;
    if (!c.verified) c.error = c.verdict.message.empty() ? "wrong result" : c.verdict.message;
    if (c.verified) {
      c.call_seconds = std::min(c.call_seconds, timed_call());
      note(c);
    }
  } catch (const std::bad_alloc& error) {
    return {nullptr, std::string("too large: out of memory (") + error.what() + ")"};
  } catch (const std::exception& error) {
    c.error = error.what();
  }
  if (out_of_memory(c.error)) return {nullptr, "too large: " + c.error.substr(0, c.error.find('\n'))};
  return {std::move(candidate), ""};
}

}  // namespace ssim::bench
