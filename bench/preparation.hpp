// SPDX-License-Identifier: MIT
// What stands between a plan and its timing: images, memory, and a verified row in it.
//
// A row is verified on the problem in the process that times it (verify::verify_row). What it gives and what memory it
// takes is noted here too, from a call of its own. Cost: the oracle once a problem, five calls a row.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "baselines/memory_meter.hpp"
#include "gpu.hpp"
#include "sets.hpp"
#include "verify/check.hpp"
#include "verify/memory.hpp"

namespace ssim::bench {

/// What a verified call gave, for comparing two builds. The gradient is known by a hash of its bits and a few values.
struct Answer {
  double mean = 0;
  std::string gradient_bits;           // 16 hexadecimal digits; "" in inference
  std::vector<float> gradient_probes;  // at places that depend on the number of elements alone
};

/// A row of a group with its memory, from its first call to its last.
struct Candidate {
  const Group::Item* item = nullptr;
  Problem problem;
  Mode mode = Mode::infer;
  std::string error;  // wrong, or failed
  verify::Verdict verdict;
  bool verified = false;
  Cost cost;
  verify::Memory workspace, mean;
  Arguments arguments;
  double call_seconds = 0;  // host time of one call with its synchronisation
  Answer answer;
  baselines::MemoryUse memory;  // of LibTorch's allocators, beside the workspace
  std::int64_t workspace_bytes = 0;

  /// Enqueues the row once (on the CPU: runs it). Throws std::runtime_error where it fails.
  void call() const;
};

class Preparation {
 public:
  /// `offset`: bytes by which images and gradient are off 256-byte alignment. `gpu` is null on the CPU and must outlive
  /// this.
  Preparation(Device device, std::uint64_t seed, int threads, Gpu* gpu, std::int64_t offset = 0);
  ~Preparation();

  /// Images of the group's problem and one gradient for all rows. The groups of one problem should follow one another:
  /// they share images and the oracle's answer. "" or why they cannot be had.
  std::string begin(const Group& group);

  /// A candidate (perhaps with an error), or the reason why the row is skipped.
  struct Prepared {
    std::unique_ptr<Candidate> candidate;
    std::string skipped;
  };
  /// `seconds`: what the row may take in all; three calls must fit into it. `share` says where that comes from.
  Prepared prepare(const Group& group, const Group::Item& item, double seconds, const std::string& share);

 private:
  void note(Candidate& candidate);

  Device device_;
  std::uint64_t seed_;
  int threads_;
  Gpu* gpu_;
  std::int64_t offset_;
  std::unique_ptr<verify::Case> case_;
  std::optional<Problem> case_problem_;
  verify::Memory gradient_;
};

/// Whether an error's text says that memory did not suffice, in the words of CUDA, LibTorch or the C++ library.
bool out_of_memory(const std::string& text);

/// "12 s", "0.25 s".
std::string seconds_text(double seconds);

}  // namespace ssim::bench
