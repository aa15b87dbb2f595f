// SPDX-License-Identifier: MIT
// One row, `production` in training, timed in ways that should make no difference: what difference do they make?
//
// resolution: the smallest step that the clock shows, and what an empty sample reads.
// settling:   cold figures in the first half second after the device has been idle.
// delay:      cold figures with no, the usual and the fourfold delay. Without a delay that hides the launch
//             the figure holds host time; a longer one must not change it.
// flush:      cold figures after a write and a read, after either alone, and hot. What remains of dirty lines after a
//             write alone falls into the sample. They and the delays take turns, as rows do.
// drift:      medians of windows of 5 s. The largest distance of one from the median of all is what minutes do.
#include "calibration.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>
#include <vector>

#include "baselines/all_rows.hpp"
#include "cpu_timer.hpp"
#include "preparation.hpp"
#include "progress.hpp"
#include "scheduler.hpp"

namespace ssim::bench {
namespace {

constexpr double kWindow = 5;
constexpr int kSamples = 200;
constexpr int kRounds = 10;
constexpr double kMostSeconds = 3;  // of one method
constexpr double kIdle[] = {0.01, 0.1, 1};
constexpr double kSettlingWindow = 0.02;
constexpr int kSettlingWindows = 25, kSettlingRepeats = 5;

// What samples until `end` give.
std::vector<double> samples_until(double end, Sampler& sampler, const std::function<bool()>& stop_requested,
                                  int& discarded) {
  std::vector<double> found;
  while (steady_seconds() < end && !stop_requested()) {
    const Sample sample = sampler.sample();
    if (sample.discarded) {
      ++discarded;
    } else {
      found.push_back(sample.seconds);
    }
  }
  return found;
}

// After idleness, windows one after another; of each the median over the repeats.
Json settling(Sampler& sampler, const std::function<bool()>& stop_requested) {
  Json found = Json::array();
  for (const double idle : kIdle) {
    std::vector<std::vector<double>> windows(kSettlingWindows);
    int discarded = 0;
    for (int repeat = 0; repeat < kSettlingRepeats && !stop_requested(); ++repeat) {
      std::this_thread::sleep_for(std::chrono::duration<double>(idle));
      for (std::vector<double>& window : windows) {
        const double end = steady_seconds() + kSettlingWindow;
        const std::vector<double> samples = samples_until(end, sampler, stop_requested, discarded);
        if (!samples.empty()) window.push_back(median(samples));
      }
    }
    std::vector<double> medians;
    for (const std::vector<double>& window : windows) {
      if (!window.empty()) medians.push_back(median(window));
    }
    found.push_back({{"idle_s", idle}, {"window_s", kSettlingWindow}, {"medians_s", medians}});
  }
  return found;
}

struct Method {
  const char *part, *name;
  std::unique_ptr<Sampler> sampler;
};

// Into record[part][name], measured side by side in rounds of random order.
void compare_methods(const std::vector<Method>& methods, std::uint64_t seed,
                     const std::function<bool()>& stop_requested, Json& record) {
  std::vector<Entry> entries;
  for (const Method& method : methods) {
    Entry& entry = entries.emplace_back();
    entry.sampler = method.sampler.get();
    entry.rule.exact_rounds = kRounds;
    entry.rule.cap_seconds = kMostSeconds;
  }
  constexpr int kTurn = kSamples / kRounds;
  run_rounds(entries, {.min_samples = kTurn, .max_samples = kTurn, .seconds = kMostSeconds}, seed,
             {.now = steady_seconds,
              .stop_requested = stop_requested,
              .on_turn = [](std::size_t, const Turn&) {},
              .on_done = [](std::size_t) {}});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].error.empty()) throw std::runtime_error(entries[i].error);
    if (entries[i].samples.empty()) continue;
    const Summary s = summarize(entries[i].samples);
    record[methods[i].part][methods[i].name] = {{"seconds", s.median},
                                                {"ci_low", s.interval.low},
                                                {"ci_high", s.interval.high},
                                                {"samples", entries[i].samples.size()}};
  }
}

Json resolution_of_host_clock() {
  double smallest = 1, begin = steady_seconds();
  for (int i = 0; i < 100'000; ++i) {
    const double now = steady_seconds();
    if (now > begin) smallest = std::min(smallest, now - begin);
    begin = now;
  }
  const double first = steady_seconds();
  constexpr int kReadings = 100'000;
  double sink = 0;
  for (int i = 0; i < kReadings; ++i) sink += steady_seconds();
  const double each = (steady_seconds() - first) / kReadings;
  return {{"clock", "steady"}, {"step_s", sink > 0 ? smallest : 0}, {"reading_s", each}};
}

Json resolution_of_events(Gpu& gpu) {
  std::vector<double> empty;
  for (int i = 0; i < kSamples; ++i) empty.push_back(gpu.event_seconds(-1));
  // Spins that grow by 7 ns: the distinct readings are the steps of the clock.
  std::set<double> readings;
  for (int i = 0; i < 4 * kSamples; ++i) readings.insert(gpu.event_seconds(5e-6 + 7e-9 * i));
  double smallest = 1;
  for (auto at = readings.begin(); std::next(at) != readings.end(); ++at) {
    smallest = std::min(smallest, *std::next(at) - *at);
  }
  return {{"clock", "events"}, {"step_s", smallest}, {"empty_s", median(empty)}};
}

}  // namespace

Json calibrate(Device device, int threads, std::uint64_t seed, Gpu* gpu, double seconds,
               const std::function<bool()>& stop_requested) {
  const Implementation* row = nullptr;
  for (const Implementation& one : all_rows()) {
    if (one.device == device && one.name == "production") row = &one;
  }
  if (!row) throw std::runtime_error("there is no row production");
  const Shape shape = gpu ? Shape{1, 3, 1080, 1920} : Shape{1, 3, 256, 256};
  const Clock clock = gpu ? Clock::cold : Clock::wall;
  Group group{shape, Padding::same, Mode::train, {{row, {clock}}}};
  Preparation preparation(device, seed, threads, gpu);
  if (const std::string reason = preparation.begin(group); !reason.empty()) throw std::runtime_error(reason);
  const auto prepared = preparation.prepare(group, group.items[0], 1e9, "");
  if (!prepared.candidate) throw std::runtime_error(prepared.skipped);
  const Candidate& candidate = *prepared.candidate;
  if (!candidate.error.empty()) throw std::runtime_error(candidate.error);
  const std::function<void()> call = [&candidate] { candidate.call(); };

  Json record;
  record["key"] = group.key(group.items[0], clock).text();
  record["resolution"] = {resolution_of_host_clock()};
  if (gpu) {
    record["resolution"].push_back(resolution_of_events(*gpu));
    record["settling"] = settling(*gpu->sampler(clock, call), stop_requested);
    const auto cold = [&](const Gpu::ColdMethod& method) { return gpu->cold_sampler(method, call); };
    std::vector<Method> methods;
    methods.push_back({"delay", "none", cold({.delay = 0})});
    methods.push_back({"delay", "usual", cold({})});
    methods.push_back({"delay", "fourfold", cold({.delay = 4})});
    methods.push_back({"flush", "write_and_read", cold({})});
    methods.push_back({"flush", "write", cold({.flush_by_read = false})});
    methods.push_back({"flush", "read", cold({.flush_by_write = false})});
    methods.push_back({"flush", "hot", gpu->sampler(Clock::hot, call)});
    compare_methods(methods, seed, stop_requested, record);
  }

  ProgressLine progress;
  const std::unique_ptr<Sampler> sampler = gpu ? gpu->sampler(clock, call) : cpu_sampler(call, candidate.call_seconds);
  const int windows = std::max(2, static_cast<int>(std::lround(seconds / kWindow)));
  const double length = seconds / windows;
  std::vector<double> medians;
  const double begin = steady_seconds();
  int discarded = 0;
  for (int w = 0; w < windows && !stop_requested(); ++w) {
    sampler->warm_up();
    const std::vector<double> of_window = samples_until(begin + length * (w + 1), *sampler, stop_requested, discarded);
    if (!of_window.empty()) medians.push_back(median(of_window));
    progress.show(w + 1, windows, "drift of " + record["key"].get<std::string>(), seconds - (steady_seconds() - begin));
  }
  progress.clear();
  record["drift"] = {{"window_s", length}, {"medians_s", medians}, {"discarded", discarded}};
  if (!medians.empty()) {
    const double middle = median(medians);
    double largest = 0;
    for (const double value : medians) largest = std::max(largest, std::abs(value - middle) / middle);
    record["drift"]["largest"] = largest;
  }
  return record;
}

}  // namespace ssim::bench
