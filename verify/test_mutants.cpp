// SPDX-License-Identifier: MIT
// Rows with a defect switched on must be caught, each by the check that stands beside the defect's name in
// kernels/defect.hpp. A row has the defects that its source asks for; a surviving mutant fails.
//
// Cost: every row once on all cases below, every mutant until it is caught; about a minute, most of it emulation.
// Run: ./suite mutants
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "mutants.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

/// What became of a row.
struct Catch {
  std::string check;  // "" = it passed
  std::string by;     // name of the test, and its message
};

// Small, and yet of more tiles than one, of several planes, with a tail, and high enough for a second segment.
const CaseSpec kCases[] = {
    {{.batch = 2, .channels = 2, .height = 23, .width = 37}, "uniform"},
    {{.batch = 2, .channels = 2, .height = 23, .width = 37, .padding = Padding::valid}, "uniform"},
    {{.batch = 1, .channels = 2, .height = 40, .width = 44}, "smooth"},
    {{.batch = 1, .channels = 1, .height = 150, .width = 48}, "textured"},
    {{.batch = 1, .channels = 1, .height = 150, .width = 48, .padding = Padding::valid}, "uniform"},
};

bool satisfies(const std::string& expected, const std::string& check, Device device) {
  if (expected == check) return true;
  if (expected == "oracle" && (check == "mean" || check == "gradient")) return true;
  // In emulation the kernel itself may be stopped.
  return check == "call" && device == Device::cuda_emulated && expected != "repeat" && expected != "nan";
}

/// A NaN in one pixel must reach the mean and its own gradient.
Catch swallowed_nan(const Implementation& row) {
  const Problem p{.height = 40, .width = 44};
  const Mode mode = row.supports(p, Mode::train).empty() ? Mode::train : Mode::infer;
  if (!row.supports(p, mode).empty()) return {};
  ImagePair im = make_images(p, "uniform", seed());
  im.x[300] = std::nanf("");
  const Result r = run_row(row, p, mode, im.x, im.y);
  if (!std::isnan(r.mean)) return {"nan", "properties: a NaN pixel does not reach the mean"};
  if (mode == Mode::train && !std::isnan(r.gradient[300])) {
    return {"nan", "properties: a NaN pixel does not reach its gradient"};
  }
  return {};
}

/// The first complaint that satisfies `expected`, else the first one. "" as expected: the first.
Catch examine(const Implementation& row, const std::string& expected) {
  Catch first;
  const auto note = [&](const Catch& one) {
    if (first.check.empty()) first = one;
    return !one.check.empty() && (expected.empty() || satisfies(expected, one.check, row.device));
  };
  if (expected == "nan") {
    if (const Catch c = swallowed_nan(row); note(c)) return c;
  }
  for (const CaseSpec& spec : kCases) {
    for (const Mode mode : {Mode::train, Mode::infer}) {
      if (!row.supports(spec.problem, mode).empty()) continue;
      // A case of its own each time: a mutant may spoil the images.
      const Case one(row.device, spec.problem, spec.input_class, seed());
      const Verdict v = verify_row(row, one, mode);
      if (v.ok) continue;
      const Catch c{v.failed, "accuracy." + v.message.substr(0, v.message.find('\n'))};
      if (note(c)) return c;
    }
  }
  if (expected != "nan") {
    if (const Catch c = swallowed_nan(row); note(c)) return c;
  }
  return first;
}

using Defects = std::vector<KnownDefect>;

/// The defects of every row that runs here, or whose source runs here in emulation; each row is right without them.
std::map<std::string, Defects> defects_of_rows() {
  std::map<std::string, Defects> found;
  for (const Implementation& row : kernel_rows()) {
    if (row.name == "production" || row.baseline || row.device == Device::cuda || !cannot_run(row.device).empty()) {
      continue;
    }
    forget_asked();
    activate(Defect::none);
    const Catch c = examine(row, "");
    EXPECT_EQ(c.check, "") << key(row) << " must be right before it is broken: " << c.by;
    for (const KnownDefect& d : known_defects()) {
      if (was_asked(d.defect)) found[key(row)].push_back(d);
    }
  }
  return found;
}

struct Mutant {
  const Implementation* row;
  KnownDefect defect;
};

TEST(Mutants, AreAllCaught) {
  const std::map<std::string, Defects> defects = defects_of_rows();
  std::vector<Mutant> mutants;
  int elsewhere = 0;
  std::map<std::string, int> of_device;
  std::set<std::string> seen;
  const auto add = [&](const std::string& source, const Implementation* row) {
    const auto own = defects.find(source);
    if (own == defects.end()) return;
    const bool card = source.rfind("cuda", 0) == 0 && (!row || row->device == Device::cuda);
    for (const KnownDefect& d : own->second) {
      seen.insert(d.name);
      if (card && std::string(d.check) == "race") continue;  // compute-sanitizer's
      if (!row || !cannot_run(row->device).empty()) {
        ++elsewhere;
      } else {
        mutants.push_back({row, d});
        ++of_device[to_string(row->device)];
      }
    }
  };
  for (const Implementation& row : kernel_rows()) {
    if (row.name == "production" || row.baseline) continue;
    if (row.device != Device::cuda) add(key(row), &row);
    if (row.device == Device::cuda_emulated) {
      // The same source on a card.
      const Implementation* card = nullptr;
      for (const Implementation& other : kernel_rows()) {
        if (other.device == Device::cuda && other.name == row.name) card = &other;
      }
      add(key(row), card);
    }
  }
  if (mutants.empty()) return skip("no row of the devices that run here has defects");

  std::printf("%zu mutants\n", mutants.size());
  std::size_t caught = 0;
  for (const Mutant& mutant : mutants) {
    activate(mutant.defect.defect);
    const Catch c = examine(*mutant.row, mutant.defect.check);
    activate(Defect::none);
    const bool good = satisfies(mutant.defect.check, c.check, mutant.row->device);
    caught += good;
    std::printf("mutant %-30s %-22s %s\n", key(*mutant.row).c_str(), mutant.defect.name,
                c.check.empty() ? "SURVIVED" : c.by.c_str());
    std::fflush(stdout);
    EXPECT_TRUE(good) << key(*mutant.row) << " with " << mutant.defect.name << " must be caught by "
                      << mutant.defect.check
                      << (c.check.empty() ? ", but survived" : ", but was caught by " + c.check + ": " + c.by);
  }
  std::printf("%zu of %zu mutants caught (%d not runnable here)\n", caught, mutants.size(), elsewhere);
  for (const auto& [device, count] : of_device) EXPECT_GE(count, 20) << "mutants on " << device;
  if (of_device.count("cpu") && of_device.count("cuda-emulated")) {
    for (const KnownDefect& d : known_defects()) EXPECT_TRUE(seen.count(d.name)) << "no row has the defect " << d.name;
  }
}

}  // namespace
}  // namespace ssim::verify
