// SPDX-License-Identifier: MIT
// ssim_accuracy: the worst error of every row on every input class, as JSON (accuracy_table.hpp has its fields).
//
//   build/verify/ssim_accuracy [--filter REGEX] [--out FILE] [--seeds N] [--random N]
//
// The filter is searched in "device:row"; without --out the table goes to stdout. Each figure is the worst over both
// paddings, four shapes and two seeds, and over forty random problems (random_case.hpp); emulated rows, which are slow,
// get a quarter of these and one seed. Half a minute for the rows of a card, minutes for a CPU with the emulated ones.
// Exit status: 0, 1 where a row is outside its tolerance (the table is written all the same), 2 misuse, 77 no row can
// run. `./suite report --accuracy` runs it for a report.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <regex>

#include "accuracy_table.hpp"
#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "random_case.hpp"
#if SSIM_WITH_CUDA
#include "card.hpp"
#endif

namespace ssim::verify {
namespace {

constexpr const char* kUsage = "usage: ssim_accuracy [--filter REGEX] [--out FILE] [--seeds N] [--random N]";
struct Options {
  std::string filter, out;
  int seeds = 2, random = 40;
};

// What the table says that it was made by: paths are nobody else's business.
std::string command_of(const Options& options) {
  std::string command = "build/verify/ssim_accuracy";
  if (!options.filter.empty()) command += " --filter '" + options.filter + "'";
  if (options.seeds != Options{}.seeds) command += " --seeds " + std::to_string(options.seeds);
  if (options.random != Options{}.random) command += " --random " + std::to_string(options.random);
  return command + " --out accuracy.json";
}

Json environment_of(const Table& table) {
  const bool card =
      std::any_of(table.begin(), table.end(), [](const auto& e) { return e.first->device == Device::cuda; });
  Json environment = host_environment(card ? Device::cuda : Device::cpu, available_cpus());
#if SSIM_WITH_CUDA
  if (card) describe_card(environment);
#endif
  return environment;
}

// All cases of one device; rows of the table that are not its own are passed over.
class Walk {
 public:
  Walk(Table& table, Device device, const Options& options) : table_(table), device_(device), options_(options) {}

  void run() {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<InputClass>& classes = input_classes();
    for (std::size_t i = 0; i < classes.size(); ++i) {
      one_class(classes[i].name);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      std::fprintf(stderr, "%s: %zu of %zu classes, about %.0f s left\n", to_string(device_), i + 1, classes.size(),
                   seconds / static_cast<double>(i + 1) * static_cast<double>(classes.size() - i - 1));
    }
  }

 private:
  void one_class(const char* name) {
    const bool slow = device_ == Device::cuda_emulated;
    for (int i = slow ? 2 : 0; i < options_.random; i += slow ? 4 : 1) {
      const RandomCase random = draw_case(static_cast<std::uint64_t>(i), 6000);
      examine(random.spec.problem, name, random.seed, random.spec.offset);
    }
    const std::int64_t shapes[][4] = {{2, 3, 37, 53}, {1, 1, 19, 37}, {1, 1, 64, 96}, {1, 2, 150, 203}};
    for (const auto& s : shapes) {
      for (int seed = 1; seed <= (slow ? 1 : options_.seeds); ++seed) {
        for (const Padding padding : {Padding::same, Padding::valid}) {
          examine({.batch = s[0], .channels = s[1], .height = s[2], .width = s[3], .padding = padding}, name,
                  static_cast<std::uint64_t>(seed), 0);
        }
      }
    }
  }

  void examine(const Problem& problem, const char* name, std::uint64_t seed, std::int64_t offset) {
    std::unique_ptr<Case> one;  // made if a row wants it
    for (auto& [row, classes] : table_) {
      if (row->device != device_ || problem.elements() > limit(*row)) continue;
      const Mode mode = row->supports(problem, Mode::train).empty() ? Mode::train : Mode::infer;
      if (!row->supports(problem, mode).empty()) continue;
      if (!one) one = std::make_unique<Case>(device_, problem, name, seed, offset);
      const Verdict verdict = verify_row(*row, *one, mode);
      if (!verdict.ok) std::fprintf(stderr, "%s\n", verdict.message.c_str());
      add(classes[name], verdict, problem, mode);
    }
  }

  // An emulated row takes seconds for a large problem, a baseline on a CPU too.
  static std::int64_t limit(const Implementation& row) {
    return row.device == Device::cuda_emulated ? 6200 : row.baseline ? 12000 : 100000;
  }

  Table& table_;
  Device device_;
  const Options& options_;
};

int misuse(const std::string& message) {
  std::fprintf(stderr, "ssim_accuracy: %s\n%s\n", message.c_str(), kUsage);
  return 2;
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help") {
      std::puts(kUsage);
      return 0;
    }
    if (flag != "--filter" && flag != "--out" && flag != "--seeds" && flag != "--random") {
      return misuse("unknown argument " + flag);
    }
    if (i + 1 >= argc) return misuse("no value for " + flag);
    const std::string value = argv[++i];
    if (flag == "--filter") options.filter = value;
    if (flag == "--out") options.out = value;
    if (flag == "--seeds" || flag == "--random") {
      char* end = nullptr;
      const long number = std::strtol(value.c_str(), &end, 10);
      if (*end || number < 1 || number > 1000000) return misuse(flag + " " + value + ": a number, at least 1");
      (flag == "--seeds" ? options.seeds : options.random) = static_cast<int>(number);
    }
  }
  std::regex expression;
  try {
    expression = std::regex(options.filter);
  } catch (const std::regex_error& error) {
    return misuse("--filter '" + options.filter + "' is not a regular expression: " + error.what());
  }
  Table table;
  bool any_matches = false;
  for (const Implementation& row : all_rows()) {
    if (!std::regex_search(key(row), expression)) continue;
    any_matches = true;
    std::string reason;
    if (device_available(row.device, &reason)) {
      table.push_back({&row, {}});
    } else {
      std::fprintf(stderr, "skipped %s: %s\n", key(row).c_str(), reason.c_str());
    }
  }
  if (!any_matches) return misuse("--filter '" + options.filter + "' matches no row");
  if (table.empty()) return 77;
  for (const Device device : {Device::cpu, Device::cuda, Device::cuda_emulated}) {
    if (std::none_of(table.begin(), table.end(), [&](const auto& e) { return e.first->device == device; })) continue;
    Walk(table, device, options).run();
  }
  const std::string text = to_json(table, command_of(options), environment_of(table)).dump(1) + "\n";
  if (options.out.empty()) {
    std::cout << text;
  } else if (std::ofstream file(options.out); !(file << text) || !file.flush()) {
    std::fprintf(stderr, "ssim_accuracy: cannot write %s\n", options.out.c_str());
    return 2;
  }
  int cases = 0, failures = 0;
  for (const auto& [row, classes] : table) {
    for (const auto& [name, worst] : classes) cases += worst.cases, failures += worst.failures;
  }
  std::fprintf(stderr, "%zu rows, %d cases, %d outside tolerance\n", table.size(), cases, failures);
  return failures ? 1 : 0;
}

}  // namespace
}  // namespace ssim::verify

int main(int argc, char** argv) {
  try {
    return ssim::verify::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ssim_accuracy: %s\n", error.what());
    return 1;
  }
}
