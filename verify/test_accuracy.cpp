// SPDX-License-Identifier: MIT
// Every row, mode and padding against the oracle, over shapes and input classes, by verify_row(). A test is named
// accuracy.DEVICE:ROW:MODE:PADDING:BxCxHxW/CLASS/SEED[/OFFSET], and any such name given to --match runs, whether its
// shape is in the lists below or not:
//   build/verify/test_accuracy --match '^accuracy.cpu:stream:train:same:1x3x37x53/uniform/7$'
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>
#include <set>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "row_tests.hpp"

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

void add_spec(std::vector<CaseSpec>& list, const Shape& shape, Padding padding, const std::string& input_class,
              std::int64_t offset = 0) {
  const Problem problem = problem_of(shape, padding);
  if (check(problem)) list.push_back({problem, input_class, offset});
}

// Cases for rows of a device. Emulated rows are some thousand times slower, so they get the small end of each list.
std::vector<CaseSpec> cases(Device device, Padding padding) {
  const bool emulated = device == Device::cuda_emulated;
  std::vector<CaseSpec> list;
  // Every class once on a shape that is a multiple of nothing.
  const Shape odd = emulated ? Shape{1, 1, 19, 37} : Shape{2, 3, 37, 53};
  for (const InputClass& c : input_classes()) add_spec(list, odd, padding, c.name);
  if (!emulated) {
    for (const InputClass& c : input_classes()) add_spec(list, {1, 2, 150, 203}, padding, c.name);
  }
  // Smaller than the window in both directions.
  for (std::int64_t h = 1; h <= 12; ++h) {
    for (std::int64_t w = 1; w <= 12; ++w) {
      if (!emulated || h == w || (h * 5 + w * 3) % 13 == 0) add_spec(list, {1, 1, h, w}, padding, "uniform");
    }
  }
  // Around powers of two, thin ones, primes, channels.
  std::vector<Shape> shapes = {{1, 1, 1, 67},  {1, 1, 67, 1},  {1, 1, 11, 131}, {1, 1, 131, 11},
                               {3, 1, 13, 17}, {1, 4, 23, 29}, {1, 7, 16, 12}};
  for (const std::int64_t n : {15, 16, 17, 31, 32, 33}) shapes.push_back({1, 1, n, 96 - n});
  if (!emulated) {
    for (const std::int64_t n : {63, 64, 65, 127, 128, 129, 255, 256, 257}) shapes.push_back({1, 1, n, 320 - n});
    for (const Shape& s : {Shape{1, 1, 1, 4099},
                           {1, 1, 4099, 1},
                           {1, 1, 12, 2503},
                           {1, 1, 2503, 12},
                           {2, 2, 101, 211},
                           {5, 3, 61, 67},
                           {66000, 1, 3, 2},
                           {70001, 1, 11, 11},
                           {1, 3, 256, 256},
                           {1, 1, 300, 2100}}) {
      shapes.push_back(s);
    }
  }
  for (const Shape& s : shapes) {
    add_spec(list, s, padding, "uniform");
    if (s[2] * s[3] < 200 * 200) add_spec(list, s, padding, "local");
  }
  // Base pointers that are not aligned to a vector.
  for (const std::int64_t offset : {4, 8, 12}) {
    add_spec(list, {1, 2, 21, emulated ? 35 : 83}, padding, "uniform", offset);
    add_spec(list, {1, 1, 24, 64}, padding, "uniform", offset);
  }
  return list;
}

// Baselines may take a second for what a kernel does in a millisecond; their kernels are LibTorch's, so the small
// problems are what they are checked on here (bench checks them on what it times).
bool for_baselines(const Problem& p) { return p.elements() <= 16000 && p.planes() <= 16; }

// A row's own seams: one less than a tile, a tile, one more, and two with a rest.
void add_tiles(std::vector<CaseSpec>& list, const Tile& tile, Padding padding, bool emulated) {
  if (tile.height <= 0 && tile.width <= 0) return;
  const std::int64_t h = tile.height > 0 ? tile.height : 13, w = tile.width > 0 ? tile.width : 13;
  for (const std::int64_t d : {-1, 0, 1}) {
    add_spec(list, {1, 1, std::max<std::int64_t>(1, h + d), std::max<std::int64_t>(1, w + d)}, padding, "uniform");
    if (emulated && d != 1) continue;
    add_spec(list, {1, 1, 2 * h + d, w + 3}, padding, "textured");
    add_spec(list, {1, 1, h + 3, 2 * w + d}, padding, "textured");
  }
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
        std::vector<CaseSpec> tiles;
        add_tiles(tiles, row.tile, padding, device == Device::cuda_emulated);
        for (const CaseSpec& spec : tiles) {
          for (const Mode mode : kModes) walker.add(row, mode, spec, seed());
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
