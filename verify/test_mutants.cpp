// SPDX-License-Identifier: MIT
// Rows with a defect switched on must be caught: by verify_row over a few cases or, for what only shows there, by a NaN
// in one pixel. A row has the defects that its source asks for (kernels/defect.hpp). A surviving mutant fails.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <set>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "mutants.hpp"
#include "row_tests.hpp"

namespace ssim::verify {
namespace {

// "" or by what the row, as it is now, was caught.
std::string caught_by(const Implementation& row) {
  for (const Padding padding : kPaddings) {
    for (const char* input_class : {"uniform", "textured"}) {
      // A case of its own each time: a mutant may spoil the images.
      const Case one(row.device, {.batch = 2, .channels = 2, .height = 23, .width = 37, .padding = padding},
                     input_class, seed());
      for (const Mode mode : {Mode::train, Mode::infer}) {
        if (!row.supports(one.problem(), mode).empty()) continue;
        const Verdict v = verify_row(row, one, mode);
        if (!v.ok) return "verify_row: " + v.message.substr(0, v.message.find('\n'));
      }
    }
  }
  const Problem p{.height = 40, .width = 37};
  ImagePair im = make_images(p, "uniform", seed());
  im.x[300] = std::nanf("");
  const bool train = row.supports(p, Mode::train).empty();
  const Result r = run_row(row, p, train ? Mode::train : Mode::infer, im.x, im.y);
  if (!std::isnan(r.mean)) return "a NaN pixel that does not reach the mean";
  if (train && !std::isnan(r.gradient[300])) return "a NaN pixel that does not reach its gradient";
  return "";
}

const std::vector<const Implementation*>& mutable_rows() {
  static const std::vector<const Implementation*> rows = [] {
    std::vector<const Implementation*> found;
    for (const Implementation& row : all_rows()) {
      if (row.name == "production" || row.baseline || !cannot_run(row.device).empty()) continue;
      forget_asked();
      activate(Defect::none);
      EXPECT_EQ(caught_by(row), "") << key(row) << " must be right before it is broken";
      for (const NamedDefect& d : all_defects()) {
        if (was_asked(d.defect)) {
          found.push_back(&row);
          break;
        }
      }
    }
    return found;
  }();
  return rows;
}

TEST(Mutants, AreAllCaught) {
  if (mutable_rows().empty()) return skip("no row of the devices that run here has defects");
  int mutants = 0, caught = 0;
  std::set<std::string> seen;
  for (const Implementation* row : mutable_rows()) {
    forget_asked();
    activate(Defect::none);
    caught_by(*row);
    std::vector<NamedDefect> own;
    for (const NamedDefect& d : all_defects()) {
      if (was_asked(d.defect)) own.push_back(d);
    }
    for (const NamedDefect& d : own) {
      activate(d.defect);
      const std::string by = caught_by(*row);
      activate(Defect::none);
      ++mutants;
      caught += !by.empty();
      seen.insert(d.name);
      std::printf("%-16s %-20s %s\n", key(*row).c_str(), d.name, by.empty() ? "SURVIVED" : by.c_str());
      EXPECT_NE(by, "") << key(*row) << " with " << d.name << " was not caught";
    }
  }
  std::printf("%d of %d mutants caught\n", caught, mutants);
  if (cannot_run(Device::cpu).empty()) {
    for (const NamedDefect& d : all_defects()) EXPECT_TRUE(seen.count(d.name)) << "no row has the defect " << d.name;
  }
}

}  // namespace
}  // namespace ssim::verify
