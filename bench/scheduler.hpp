// SPDX-License-Identifier: MIT
// All entries of a problem side by side: rounds of random order, in each a short turn for every entry that is not done.
//
// Rounds make ratios fair: what the machine does in a second (clocks, neighbours, temperature) meets all rows alike,
// and the interval of a ratio is a bootstrap over the rounds that both rows have. The scheduler knows nothing of clocks
// or kernels: it is given samplers and a time source, so that tests drive it with a fake one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "stopping.hpp"

namespace ssim::bench {

/// One reading of a clock.
struct Sample {
  double seconds = 0;      // per call
  double sm_mhz = 0;       // 0 = not known
  bool discarded = false;  // taken at a throttled clock: counted, not used
};

/// One row on one problem by one clock. Errors are std::runtime_error and end the entry.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Before each turn: caches and clocks as in steady running. Not timed.
  virtual void warm_up() = 0;
  virtual Sample sample() = 0;
  /// The launch could not be hidden from the GPU's clock: the figure holds host time.
  virtual bool host_bound() const { return false; }
};

/// The samples of one entry in one round.
struct Turn {
  int round = 0;
  std::vector<double> seconds;
  double sm_mhz = 0;  // mean over the samples that have it
  int discarded = 0;
  double spent = 0;  // wall seconds of the turn
};

/// An entry and how far it has come. A resumed run starts with the samples of earlier processes.
struct Entry {
  Sampler* sampler = nullptr;
  StoppingRule rule;
  std::vector<double> samples;
  std::vector<double> medians;  // of each round of this process
  int rounds = 0;
  int discarded = 0;
  double spent = 0;
  double sm_mhz = 0;
  Decision decision = Decision::go_on;
  std::string error;
  bool done() const { return decision != Decision::go_on || !error.empty(); }
};

/// How long a turn is: at least min_samples, unless they take more than `seconds`; then until `seconds` or max_samples.
struct TurnRule {
  int min_samples = 4, max_samples = 16;
  double seconds = 0.02;
};

struct SchedulerHooks {
  std::function<double()> now;                            // seconds, monotonic
  std::function<bool()> stop_requested;                   // asked between samples
  std::function<void(std::size_t, const Turn&)> on_turn;  // after every turn that has samples or discards
  std::function<void(std::size_t)> on_done;               // once for each entry that finishes
  std::function<void()> give_way = {};                    // after every turn, when nothing of it is left to do
};

/// Runs until every entry is done or a stop is requested. Returns false if stopped.
bool run_rounds(std::vector<Entry>& entries, const TurnRule& turn_rule, std::uint64_t seed,
                const SchedulerHooks& hooks);

}  // namespace ssim::bench
