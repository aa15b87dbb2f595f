// SPDX-License-Identifier: MIT
// Every row, mode and padding against the oracle, over shapes and input classes, by verify_row(). A test is named
// accuracy.DEVICE:ROW:MODE:PADDING:BxCxHxW/CLASS/SEED[/OFFSET], and any such name given to --match runs, whether its
// shape is in the lists below or not:
//   build/verify/test_accuracy --match '^accuracy.cpu:stream:train:same:1x3x37x53/uniform/7$'
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <regex>
#include <set>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "row_tests.hpp"
#include "shapes.hpp"

namespace ssim::verify {
namespace {

using Shape = std::array<std::int64_t, 4>;

std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

struct Walker {
  Registrar& registrar;
  std::set<std::string> names;

  void add(const Implementation& row, Mode mode, const CaseSpec& spec, std::uint64_t with_seed) {
    std::string name = key(row, spec.problem, mode) + "/" + spec.input_class + "/" + std::to_string(with_seed);
    if (spec.offset) name += "/" + std::to_string(spec.offset);
    if (!registrar.wanted("accuracy", name) || !names.insert(name).second) return;
    registrar.add("accuracy", name, [&row, mode, spec, with_seed] {
      if (const std::string reason = cannot_run(row.device); !reason.empty()) {
        skip(reason, row.device == Device::cuda);
        return;
      }
      if (const std::string reason = row.supports(spec.problem, mode); !reason.empty()) {
        skip(key(row) + " does not support it: " + reason);
        return;
      }
      const Verdict verdict = verify_row(row, shared_case(row.device, spec, with_seed), mode);
      testing::Test::RecordProperty("mean_error", digits(verdict.mean_error));
      testing::Test::RecordProperty("gradient_error", digits(verdict.gradient_error));
      EXPECT_TRUE(verdict.ok) << verdict.message;
    });
  }
};

Problem problem_of(const Shape& s, Padding padding) {
  return {.batch = s[0], .channels = s[1], .height = s[2], .width = s[3], .padding = padding};
}

// A name of the form above that is given in full, even if it is in no list.
void add_named(Walker& walker) {
  static const std::regex form(
      R"(\^?(?:accuracy\.)?([a-z-]+):(\w+):(infer|train):(same|valid):(\d+)x(\d+)x(\d+)x(\d+)[/:]([\w-]+)[/:](\d+)(?:[/:](\d+))?\$?)");
  std::smatch part;
  const std::string& match = walker.registrar.match();
  if (!std::regex_match(match, part, form) || !is_input_class(part[9])) return;
  for (const Implementation& row : all_rows()) {
    if (part[1] != to_string(row.device) || part[2] != row.name) continue;
    const Shape shape = {std::stoll(part[5]), std::stoll(part[6]), std::stoll(part[7]), std::stoll(part[8])};
    const Problem problem = problem_of(shape, part[4] == "valid" ? Padding::valid : Padding::same);
    if (!check(problem)) continue;
    const std::int64_t offset = part[11].matched ? std::stoll(part[11]) : 0;
    walker.add(row, part[3] == "train" ? Mode::train : Mode::infer, {problem, part[9], offset}, std::stoull(part[10]));
  }
}

void register_all(Registrar& registrar) {
  Walker walker{registrar, {}};
  std::set<Device> devices;
  for (const Implementation& row : all_rows()) devices.insert(row.device);
  for (const Device device : devices) {
    if (!cannot_run(device).empty()) continue;
    for (const Padding padding : kPaddings) {
      for (const CaseSpec& spec : cases(device, padding)) {
        for (const Implementation& row : all_rows()) {
          if (row.device != device || (row.baseline && !for_baselines(spec.problem))) continue;
          for (const Mode mode : kModes) walker.add(row, mode, spec, seed());
        }
      }
      for (const Implementation& row : all_rows()) {
        if (row.device != device) continue;
        for (const Mode mode : kModes) {
          for (const Seam& seam : seams(row, mode, padding)) walker.add(row, mode, seam.spec, seed());
        }
      }
    }
  }
  add_named(walker);
  // Devices that are not there: one skip for each row, mode and padding.
  for (const Implementation& row : all_rows()) {
    const std::string reason = cannot_run(row.device);
    if (reason.empty()) continue;
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        registrar.add("accuracy", key(row) + ":" + to_string(mode) + ":" + to_string(padding),
                      [reason, gpu = row.device == Device::cuda] { skip(reason, gpu); });
      }
    }
  }
}

const RegisterTests registration(register_all);

}  // namespace
}  // namespace ssim::verify
