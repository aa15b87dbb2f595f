// SPDX-License-Identifier: MIT
#include "google.hpp"

#include <benchmark/benchmark.h>

#include <exception>
#include <map>

namespace ssim::bench {
namespace {

// Written for 1.7.1, where the only way not to report a time is an error.
template <typename State>
void skip(State& state, const std::string& reason) {
  if constexpr (requires { state.SkipWithMessage(reason); }) {
    state.SkipWithMessage(reason);
  } else {
    state.SkipWithError(reason.c_str());
  }
}

class Quiet final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

struct Shell {
  Session& session;
  Outcome outcome;
  // [group][repetition]: key text -> result
  std::vector<std::vector<std::map<std::string, Result>>> results;
  std::map<std::string, std::size_t> calls;
  std::exception_ptr failure;

  const Result* result(std::size_t group, const std::string& text) {
    const std::size_t repetition = calls[text]++;
    std::vector<std::map<std::string, Result>>& of_group = results[group];
    while (of_group.size() <= repetition && !failure) {
      try {
        of_group.push_back(session.measure(group));
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (of_group.size() <= repetition) return nullptr;
    const auto found = of_group[repetition].find(text);
    return found == of_group[repetition].end() ? nullptr : &found->second;
  }

  void run(benchmark::State& state, std::size_t group, const Key& key) {
    const std::string text = key.text();
    const bool first = calls[text] == 0;
    const Result* const result = this->result(group, text);
    session.progress().clear();
    if (result && first) outcome.lines.push_back({key, *result});
    if (!result) {
      skip(state, "not measured: the run was stopped");
    } else if (result->kind == Result::Kind::skipped) {
      skip(state, result->text);
    } else if (result->kind == Result::Kind::wrong) {
      state.SkipWithError(result->text.c_str());
    } else {
      for (auto _ : state) state.SetIterationTime(result->summary.median);
      const Summary& s = result->summary;
      state.counters["ps_per_element"] = 1e12 * s.median / static_cast<double>(key.shape.elements());
      state.counters["samples"] = static_cast<double>(result->samples);
      state.counters["rounds"] = result->rounds;
      state.counters["converged"] = result->converged;
      state.counters["rel_iqr"] = s.rel_iqr;
      state.counters["ci_low_s"] = s.interval.low;
      state.counters["ci_high_s"] = s.interval.high;
      state.counters["gb_s"] = 1e-9 * result->cost.dram_bytes / s.median;
      state.counters["gfma_s"] = 1e-9 * result->cost.fma / s.median;
      if (result->sm_mhz > 0) state.counters["sm_mhz"] = result->sm_mhz;
      if (result->discarded > 0) state.counters["discarded"] = result->discarded;
      if (result->host_bound) state.counters["host_bound"] = 1;
    }
  }
};

}  // namespace

KeyFilter google_filter(const Options& options) {
  std::string text = google_flag(options, "filter").value_or("");
  if (text.empty() || text == "all") return [](const Key&) { return true; };
  const bool negative = text.front() == '-';
  if (negative) text.erase(0, 1);
  const std::regex regex = parse_regex("--benchmark_filter", text);
  return
      [regex, negative](const Key& key) { return std::regex_search(key.text() + "/manual_time", regex) != negative; };
}

Outcome run_google(const Options& options, const char* program, Session& session, const Json& environment) {
  // One iteration is all that it takes to pass a minimum time of next to nothing, and a name then holds no count.
  std::vector<std::string> arguments = {program, "--benchmark_min_time=" SSIM_LEAST_TIME};
  for (const std::string& flag : options.google) {
    // The filter chose what is registered; a minimum time would only read the same median again.
    if (flag.rfind("--benchmark_filter", 0) == 0 || flag.rfind("--benchmark_min_time", 0) == 0) continue;
    arguments.push_back(flag);
  }
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1)
    throw Misuse("unknown argument '" + std::string(pointers[1]) + "'; --benchmark_help lists what there is");

  for (const auto& [field, value] : environment.items()) {
    if (value.is_null()) continue;
    benchmark::AddCustomContext("ssim_" + field, value.is_string() ? value.get<std::string>() : value.dump());
  }
  Shell shell{session, {}, {}, {}, {}};
  shell.results.resize(session.groups().size());
  for (std::size_t g = 0; g < session.groups().size(); ++g) {
    const Group& group = session.groups()[g];
    for (const Group::Item& item : group.items) {
      for (const Clock clock : item.clocks) {
        const Key key = group.key(item, clock);
        benchmark::RegisterBenchmark(key.text().c_str(), [&shell, g, key](benchmark::State& state) {
          shell.run(state, g, key);
        })->UseManualTime();
      }
    }
  }
  if (options.google.empty()) {
    Quiet quiet;
    benchmark::RunSpecifiedBenchmarks(&quiet);
  } else {
    benchmark::RunSpecifiedBenchmarks();
  }
  benchmark::Shutdown();
  session.progress().clear();
  if (shell.failure) std::rethrow_exception(shell.failure);
  return std::move(shell.outcome);
}

}  // namespace ssim::bench
