// SPDX-License-Identifier: MIT
// That every row really gets each kind of shape, counted in what the accuracy tests run (shapes.hpp): a kind that a row
// supports in any of many probes must be among its cases; one that it refuses throughout is printed as a dash. Needs no
// device. Cost: some seconds. Run: ./suite test --filter '^shapes'
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "baselines/all_rows.hpp"
#include "row_tests.hpp"
#include "shapes.hpp"

namespace ssim::verify {
namespace {

struct Kind {
  std::string name;
  std::function<bool(const CaseSpec&)> is;
};

bool is_prime(std::int64_t n) {
  for (std::int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n > 1;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = [] {
    std::vector<Kind> list;
    for (std::int64_t h = 1; h <= 12; ++h) {
      for (std::int64_t w = 1; w <= 12; ++w) {
        list.push_back({std::to_string(h) + "x" + std::to_string(w),
                        [=](const CaseSpec& c) { return c.problem.height == h && c.problem.width == w; }});
      }
    }
    list.push_back(
        {"prime height", [](const CaseSpec& c) { return c.problem.height > 12 && is_prime(c.problem.height); }});
    list.push_back(
        {"prime width", [](const CaseSpec& c) { return c.problem.width > 12 && is_prime(c.problem.width); }});
    list.push_back({"1xN", [](const CaseSpec& c) { return c.problem.height == 1 && c.problem.width > 60; }});
    list.push_back({"Nx1", [](const CaseSpec& c) { return c.problem.width == 1 && c.problem.height > 60; }});
    for (const std::int64_t offset : {4, 8, 12}) {
      list.push_back({"off by " + std::to_string(offset), [=](const CaseSpec& c) { return c.offset == offset; }});
      list.push_back({"odd width, off by " + std::to_string(offset),
                      [=](const CaseSpec& c) { return c.offset == offset && c.problem.width % 2 == 1; }});
    }
    for (const std::int64_t channels : {1, 2, 3, 4, 7}) {
      list.push_back({std::to_string(channels) + (channels == 1 ? " channel" : " channels"),
                      [=](const CaseSpec& c) { return c.problem.channels == channels; }});
    }
    list.push_back({"over 65535 planes", [](const CaseSpec& c) { return c.problem.planes() > 65535; }});
    return list;
  }();
  return all;
}

/// Many shapes of all kinds; what a row supports among them it must be run on. Of emulated rows, for which many planes
/// take minutes, those of few: the sources are those of the rows of the card, which get the others.
const std::vector<CaseSpec>& probes(Padding padding, bool emulated) {
  static std::vector<CaseSpec> all[2][2];
  std::vector<CaseSpec>& list = all[static_cast<int>(padding)][emulated];
  if (!list.empty()) return list;
  std::vector<std::int64_t> sizes;
  for (std::int64_t n = 1; n <= 20; ++n) sizes.push_back(n);
  for (const std::int64_t n : {23, 31, 32, 37, 64, 67, 128, 131, 256}) sizes.push_back(n);
  for (const std::int64_t batch : {1, 2, 66000}) {
    if (emulated && batch > 2) continue;
    for (const std::int64_t channels : {1, 2, 3, 4, 7}) {
      for (const std::int64_t h : sizes) {
        for (const std::int64_t w : sizes) {
          const Problem p{.batch = batch, .channels = channels, .height = h, .width = w, .padding = padding};
          if (!check(p)) continue;
          list.push_back({p, "uniform"});
          if (batch == 1 && channels <= 2) {
            for (const std::int64_t offset : {4, 8, 12}) list.push_back({p, "uniform", offset});
          }
        }
      }
    }
  }
  return list;
}

void gets_each_kind(const Implementation& row, Mode mode, Padding padding) {
  std::vector<CaseSpec> run = cases(row.device, padding);
  std::erase_if(run, [&](const CaseSpec& c) {
    return !row.supports(c.problem, mode).empty() || (row.baseline && !for_baselines(c.problem));
  });
  std::vector<const CaseSpec*> could;
  for (const CaseSpec& c : probes(padding, row.device == Device::cuda_emulated)) {
    if (row.supports(c.problem, mode).empty() && (!row.baseline || for_baselines(c.problem))) could.push_back(&c);
  }
  int small = 0, refused = 0;
  std::string others;
  for (const Kind& kind : kinds()) {
    const auto count = std::count_if(run.begin(), run.end(), kind.is);
    const bool possible = std::any_of(could.begin(), could.end(), [&](const CaseSpec* c) { return kind.is(*c); });
    if (possible) {
      EXPECT_GT(count, 0) << key(row) << ":" << to_string(mode) << ":" << to_string(padding) << " supports "
                          << kind.name << ", but no case of its accuracy tests is of that kind";
    }
    if (&kind - kinds().data() < 144) {
      small += count > 0;
      refused += !possible;
    } else {
      others += ", " + kind.name + " " + (possible ? std::to_string(count) : "-");
    }
  }
  std::string sides;
  for (const bool vertical : {true, false}) {
    for (const int side : {-1, 0, 1}) {
      const std::vector<Seam> own = seams(row, mode, padding);
      const auto count = std::count_if(own.begin(), own.end(),
                                       [&](const Seam& s) { return s.vertical == vertical && s.side == side; });
      sides += " " + std::to_string(count);
      const bool tiled = (vertical ? row.tile.height : row.tile.width) > 0;
      if (tiled && !could.empty()) {
        EXPECT_GT(count, 0) << key(row) << " has no case at side " << side << " of its tiles";
      }
    }
  }
  EXPECT_EQ(small + refused, 144);
  std::printf("%-48s %3d of 1x1 ... 12x12 (%3d refused), seams%s%s\n",
              (key(row) + ":" + to_string(mode) + ":" + to_string(padding)).c_str(), small, refused, sides.c_str(),
              others.c_str());
}

void register_all(Registrar& registrar) {
  for (const Implementation& row : all_rows()) {
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        registrar.add("shapes", key(row) + ":" + to_string(mode) + ":" + to_string(padding),
                      [&row, mode, padding] { gets_each_kind(row, mode, padding); });
      }
    }
  }
}

const RegisterTests registration(register_all);

}  // namespace
}  // namespace ssim::verify
