// SPDX-License-Identifier: MIT
// A run of a set: verifies and measures group after group, and writes what comes out to the result file.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "budget.hpp"
#include "gpu.hpp"
#include "preparation.hpp"
#include "progress.hpp"
#include "scheduler.hpp"
#include "sets.hpp"
#include "stream.hpp"

namespace ssim::bench {

/// What became of one key.
struct Result {
  enum class Kind { measured, wrong, skipped } kind = Kind::skipped;
  std::string text;  // why it is wrong or skipped; for a measured row, what it lacks to be converged
  Summary summary;
  std::size_t samples = 0;
  int rounds = 0;
  bool converged = false;
  bool host_bound = false;
  int discarded = 0;
  double sm_mhz = 0;
  Cost cost;
};

class Session {
 public:
  struct Setup {
    ProblemSet set;
    Settings settings = Settings::best;
    double seconds = 0;   // budget of the whole run
    int repetitions = 1;  // how often each group will be measured
    int threads = 1;
    std::uint64_t seed = 1;
    std::int64_t offset = 0;  // bytes by which images are off alignment
    int process = 1;
    std::string spin_key;      // text of the key that a slow-down is planted in; "": none
    double spin_fraction = 0;  // of its median, spent inside the timed region; 0 enqueues a spin of no length
    std::function<bool()> stop_requested;
    std::function<double()> give_way;  // after every turn; the seconds that others took, which are not of the budget
  };
  /// `gpu` is null on the CPU; `earlier` holds samples of former processes. All references must outlive the session.
  Session(Setup setup, std::vector<Group> groups, Gpu* gpu, ResultFile& file, std::map<std::string, Earlier> earlier);
  ~Session();

  const std::vector<Group>& groups() const { return groups_; }
  /// Measures all of a group; results by key text. The groups of one problem should follow one another: they share
  /// images and the oracle's answer. Returns early, with fewer results, when a stop is requested.
  std::map<std::string, Result> measure(std::size_t index);
  /// Figures whose row was wrong or failed so far.
  int wrong() const { return wrong_; }
  /// Seconds since it was made, less those of other processes' turns: what its budget counts.
  double elapsed() const;
  ProgressLine& progress() { return progress_; }

 private:
  std::unique_ptr<Sampler> sampler(const Key& key, const Candidate& candidate);
  void write_skipped(const Key& key, const std::string& reason, std::map<std::string, Result>& results);
  void write_wrong(const Key& key, const Candidate& candidate, const std::string& error,
                   std::map<std::string, Result>& results);
  void write_failed(const Key& key, const Candidate& candidate, const std::string& error,
                    std::map<std::string, Result>& results);
  void write_row(const Key& key, const Candidate& candidate, const Entry& entry, bool host_bound,
                 std::map<std::string, Result>& results);
  Json row_record(const Key& key, const Candidate& candidate) const;

  Setup setup_;
  std::vector<Group> groups_;
  Gpu* gpu_;
  ResultFile& file_;
  std::map<std::string, Earlier> earlier_;
  Budget budget_;
  ProgressLine progress_;
  Preparation preparation_;
  double begin_ = 0, given_ = 0;
  int wrong_ = 0, done_ = 0, total_ = 0;
};

}  // namespace ssim::bench
