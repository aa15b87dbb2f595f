// SPDX-License-Identifier: MIT
// ssim_fuzz: random cases against every row until the time is up. A failing case is minimised, and the command that
// repeats it printed; the others of its kind (row and part of the check) are then only counted.
//
//   build/verify/ssim_fuzz --minutes M [--filter REGEX] [--seed N]          (./suite test --fuzz M)
//
// The filter is searched in "device:row"; SUITE_DEVICE chooses the device. Exit status: 0 no failure, 1 some, 2 misuse,
// 77 no row can run. Ctrl-C ends it early, with the summary.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <regex>

#include "baselines/all_rows.hpp"
#include "random_case.hpp"

namespace ssim::verify {
namespace {

volatile std::sig_atomic_t interrupted = 0;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int usage(const char* message, const char* value) {
  std::fprintf(stderr, "ssim_fuzz: %s%s\nusage: ssim_fuzz --minutes M [--filter REGEX] [--seed N]\n", message, value);
  return 2;
}

int run(int argc, char** argv) {
  double minutes = 0;
  std::string filter;
  std::uint64_t first = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count() / 1000);
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 >= argc) return usage("no value for ", argv[i]);
    const std::string option = argv[i];
    char* end = argv[i + 1];
    if (option == "--minutes") {
      minutes = std::strtod(argv[i + 1], &end);
    } else if (option == "--seed") {
      first = std::strtoull(argv[i + 1], &end, 10);
    } else if (option == "--filter") {
      filter = argv[i + 1];
      end = argv[i + 1] + filter.size();
    } else {
      return usage("unknown argument ", argv[i]);
    }
    if (*end) return usage("not a number: ", argv[i + 1]);
  }
  if (!(minutes > 0)) return usage("--minutes must be above 0", "");
  std::regex expression;
  try {
    expression = std::regex(filter);
  } catch (const std::regex_error&) {
    return usage("not a regular expression: ", filter.c_str());
  }
  std::vector<const Implementation*> rows;
  for (const Implementation& row : all_rows()) {
    if (std::regex_search(key(row), expression) && cannot_run(row.device).empty()) rows.push_back(&row);
  }
  if (rows.empty()) {
    std::fprintf(stderr, "ssim_fuzz: no row of this filter and device can run here\n");
    return 77;
  }

  std::printf("seed %llu; to repeat the whole run: build/verify/ssim_fuzz --minutes %g --seed %llu%s%s%s\n",
              static_cast<unsigned long long>(first), minutes, static_cast<unsigned long long>(first),
              filter.empty() ? "" : " --filter '", filter.c_str(), filter.empty() ? "" : "'");
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  const double begin = seconds(), end = begin + 60 * minutes;
  double told = begin;
  long cases = 0, failures = 0;
  std::map<std::string, long> kinds;
  for (std::uint64_t i = first; !interrupted && seconds() < end; ++i) {
    for (const Implementation* row : rows) {
      if (interrupted) break;
      const RandomCase one = draw_case(i, most_elements(*row));
      if (!row->supports(one.spec.problem, one.mode).empty()) continue;
      ++cases;
      std::string message;
      const std::string failed = failure(*row, one, &message);
      if (!failed.empty()) {
        ++failures;
        const std::string kind = key(*row) + ", " + failed + ", " + one.spec.input_class;
        if (++kinds[kind] == 1) {
          std::printf("FAILED %s\n", message.c_str());
          std::string smallest;
          const auto fails = [&](const RandomCase& c) { return !interrupted && failure(*row, c, &message) == failed; };
          failure(*row, minimise(one, fails), &smallest);
          std::printf("  smallest: %s\n", smallest.c_str());
          std::fflush(stdout);
        }
      }
      if (seconds() - told > 5) {
        told = seconds();
        std::fprintf(stderr, "fuzz: %ld cases, %ld failures, %.0f s left\n", cases, failures, end - told);
      }
    }
  }
  for (const auto& [kind, count] : kinds) std::printf("%6ld  %s\n", count, kind.c_str());
  std::printf("%ld cases in %.0f s, %ld failed\n", cases, seconds() - begin, failures);
  if (cases == 0) return 1;
  return failures ? 1 : interrupted ? 130 : 0;
}

}  // namespace
}  // namespace ssim::verify

int main(int argc, char** argv) {
  try {
    return ssim::verify::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ssim_fuzz: %s\n", error.what());
    return 1;
  }
}
