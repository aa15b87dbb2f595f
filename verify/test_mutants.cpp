// SPDX-License-Identifier: MIT
// Rows with a defect switched on must be caught, each by the check that stands beside the defect's name in
// kernels/defect.hpp. A row has the defects that its source asks for; a surviving mutant fails.
//
// Cost: every row once on all cases below, every mutant until it is caught; about a minute, most of it emulation.
// Run: ./suite mutants ; one of them: SUITE_MUTANT=cuda:tensor/ring_index ./suite mutants
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "mutants.hpp"
#include "row_tests.hpp"
#if SSIM_WITH_EMULATION
#include "kernels/cuda/emulation/grid.hpp"
#endif

namespace ssim::verify {
namespace {

/// What became of a row.
struct Catch {
  std::string check;  // "" = it passed
  std::string by;     // name of the test, and its message
};

// Small, and yet of more tiles than one, of several planes, with a tail, and high enough for a second segment; the last
// two's planes fill the columns that some kernels give them, or leave a narrow strip over.
const CaseSpec kCases[] = {
    {{.batch = 2, .channels = 2, .height = 23, .width = 37}, "uniform"},
    {{.batch = 2, .channels = 2, .height = 23, .width = 37, .padding = Padding::valid}, "uniform"},
    {{.batch = 1, .channels = 2, .height = 40, .width = 44, .c1 = 4e-4f, .c2 = 3.6e-3f}, "smooth"},
    {{.batch = 1, .channels = 1, .height = 150, .width = 48}, "textured"},
    {{.batch = 1, .channels = 1, .height = 150, .width = 48, .padding = Padding::valid}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 40, .width = 48}, "dark"},
    {{.batch = 1, .channels = 2, .height = 20, .width = 128}, "uniform"},
    {{.batch = 1, .channels = 3, .height = 20, .width = 260}, "uniform"},
};

// A card has many more multiprocessors than the emulation, so that in the cases above a block does little: here each
// has several segments of several planes, and its rings of buffers go round many times.
const CaseSpec kLargeCases[] = {
    {{.batch = 64, .channels = 16, .height = 40, .width = 64}, "uniform"},
    {{.batch = 2, .channels = 3, .height = 1100, .width = 1028, .padding = Padding::valid}, "textured"},
    {{.batch = 64, .channels = 3, .height = 72, .width = 260}, "uniform"},
};

std::vector<CaseSpec> cases_for(Device device) {
  std::vector<CaseSpec> cases(std::begin(kCases), std::end(kCases));
  if (device == Device::cuda) cases.insert(cases.end(), std::begin(kLargeCases), std::end(kLargeCases));
  return cases;
}

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
Catch complaint(const Implementation& row, const std::string& expected) {
  Catch first;
  const auto note = [&](const Catch& one) {
    if (first.check.empty()) first = one;
    return !one.check.empty() && (expected.empty() || satisfies(expected, one.check, row.device));
  };
  if (expected == "nan") {
    if (const Catch c = swallowed_nan(row); note(c)) return c;
  }
  for (const CaseSpec& spec : cases_for(row.device)) {
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

/// The same, where the device itself may have been spoilt.
Catch examine(const Implementation& row, const std::string& expected) {
  try {
    return complaint(row, expected);
  } catch (const std::exception& error) {
    return {"call", error.what()};
  }
}

using Defects = std::vector<KnownDefect>;

/// The defects of every row that runs here, or whose source runs here in emulation; each row is right without them, on
/// a card too: what a row that is wrong anyway is caught by would say nothing of the defect.
std::map<std::string, Defects> defects_of_rows() {
  std::map<std::string, Defects> found;
  for (const Implementation& row : kernel_rows()) {
    if (row.name == "production" || row.baseline) continue;
    // Defects of the card's rows are found in emulation, whatever devices SUITE_DEVICE wants.
    const bool source = row.device == Device::cuda_emulated && cannot_run(Device::cuda).empty();
    if (!(source ? device_available(row.device) : cannot_run(row.device).empty())) continue;
    forget_asked();
    activate(Defect::none);
    const Catch c = examine(row, "");
    EXPECT_EQ(c.check, "") << key(row) << " must be right before it is broken: " << c.by;
    if (row.device == Device::cuda) continue;  // what its kernels ask for on the card is not seen
    for (const KnownDefect& d : known_defects()) {
      if (was_asked(d.defect)) found[key(row)].push_back(d);
    }
  }
  return found;
}

struct Mutant {
  const Implementation* row;
  KnownDefect defect;
  std::string name() const { return key(*row) + "/" + defect.name; }
};

/// What repeats the run: the seeds of the images and, where rows are emulated, of the order of warps and blocks.
std::string seeds() {
  std::string text = "SUITE_SEED=" + std::to_string(seed());
#if SSIM_WITH_EMULATION
  text += " SSIM_EMULATION_SEED=" + std::to_string(cuda_emulated::emulation::seed());
#endif
  return text + " SUITE_MUTANT=NAME ./suite mutants";
}

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

  const char* only = std::getenv("SUITE_MUTANT");
  if (only && *only) {
    std::erase_if(mutants, [&](const Mutant& m) { return m.name() != only; });
    ASSERT_FALSE(mutants.empty()) << "SUITE_MUTANT=" << only << ": there is no such mutant here";
  }
  std::printf("%zu mutants\n", mutants.size());
  std::vector<std::string> survivors;
  for (const Mutant& mutant : mutants) {
    activate(mutant.defect.defect);
    const Catch c = examine(*mutant.row, mutant.defect.check);
    activate(Defect::none);
    const bool good = satisfies(mutant.defect.check, c.check, mutant.row->device);
    std::printf("mutant %-30s %-22s %s\n", key(*mutant.row).c_str(), mutant.defect.name,
                c.check.empty() ? "SURVIVED" : c.by.c_str());
    std::fflush(stdout);
    if (good) continue;
    survivors.push_back(mutant.name() + " must be caught by " + mutant.defect.check +
                        (c.check.empty() ? ", but survived" : ", but was caught by " + c.check + ": " + c.by));
    ADD_FAILURE() << survivors.back();
  }
  // Once more at the end, where they are seen.
  for (const std::string& survivor : survivors) std::printf("NOT CAUGHT: %s\n", survivor.c_str());
  if (!survivors.empty()) std::printf("NOT CAUGHT: repeat with %s\n", seeds().c_str());
  std::printf("%zu of %zu mutants caught (%d not runnable here)\n", mutants.size() - survivors.size(), mutants.size(),
              elsewhere);
  if (only && *only) return;
  for (const auto& [device, count] : of_device) EXPECT_GE(count, 20) << "mutants on " << device;
  if (of_device.count("cpu") && of_device.count("cuda-emulated")) {
    for (const KnownDefect& d : known_defects()) EXPECT_TRUE(seen.count(d.name)) << "no row has the defect " << d.name;
  }
}

}  // namespace
}  // namespace ssim::verify
