// SPDX-License-Identifier: MIT
// Images beyond the range that constants are made for: as a whole, in a part, in one pixel, in one plane of a batch;
// much too dark; and NaN and infinity. A row is right to its table, whatever its number format, or refuses in words.
// Rows whose operands have a range (tensor cores) do the columns that are beyond it again in another way: this is that
// way's test.
//
// Elements of a plane with a NaN or infinite pixel are NaN where the oracle's are, elsewhere right or NaN, never
// another number; other planes are as if it were not there, bit by bit.
//
// Cost: some seconds a row in emulation. Run: ./suite test --filter '^range'
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "oracle.hpp"
#include "row_tests.hpp"
#include "shapes.hpp"
#include "tolerance.hpp"

namespace ssim::verify {
namespace {

// Two tiles and more of any row, a multiple of a vector; several planes; and enough for many blocks of a card.
const Problem kOne{.height = 48, .width = 64}, kBatch{.batch = 3, .channels = 2, .height = 40, .width = 44};
// Neither: other ways into shared memory.
const Problem kOdd{.height = 47, .width = 61};
const Problem kLarge{.batch = 4, .channels = 3, .height = 264, .width = 520};

/// Multiplies pixels of both images.
using Factor = std::function<float(std::int64_t plane, std::int64_t row, std::int64_t column, const Problem& p)>;

struct Scene {
  std::string name;
  Factor factor;
  const Problem& problem;
  const char* base;       // class of the images that are multiplied
  const char* tolerance;  // and that whose tolerance holds
  bool emulated;          // small enough for the emulation
  float range = 1;        // of nearly all pixels
  float data_range = 1;   // that the constants are made for
};

Factor whole(float by) {
  return [by](auto...) { return by; };
}

Factor where(bool (*inside)(std::int64_t, std::int64_t, std::int64_t, const Problem&), float by, float other = 1) {
  return [=](std::int64_t plane, std::int64_t row, std::int64_t column, const Problem& p) {
    return inside(plane, row, column, p) ? by : other;
  };
}

// Where a row may look for a few samples of the plane: its centre, quarters and sixths; one pixel at each.
bool samples(std::int64_t, std::int64_t row, std::int64_t column, const Problem& p) {
  const auto is = [](std::int64_t at, std::int64_t size, int of) { return at == size / of || at == size - size / of; };
  return (is(row, p.height, 4) && is(column, p.width, 4)) || (row == p.height / 2 && column == p.width / 2) ||
         (is(row, p.height, 6) && is(column, p.width, 6));
}
// One of many, if it looks at the middles of quarters of the rows and of eighths of the columns.
bool one_sample(std::int64_t, std::int64_t row, std::int64_t column, const Problem& p) {
  return row == p.height / 8 && column == p.width / 16;
}
// Where it hardly would.
bool one_pixel(std::int64_t plane, std::int64_t row, std::int64_t column, const Problem& p) {
  return plane == p.planes() / 2 && row == p.height * 5 / 7 && column == p.width * 2 / 9;
}
bool last_pixel(std::int64_t plane, std::int64_t row, std::int64_t column, const Problem& p) {
  return plane == p.planes() - 1 && row == p.height - 1 && column == p.width - 1;
}
bool one_part(std::int64_t, std::int64_t row, std::int64_t column, const Problem& p) {
  return row >= p.height / 3 && row < 2 * p.height / 3 && column > p.width / 2;
}
// With ordinary pixels on all sides.
bool island(std::int64_t, std::int64_t row, std::int64_t column, const Problem& p) {
  return row > p.height / 5 && row < 3 * p.height / 5 && column > p.width / 4 && column < p.width * 2 / 3;
}
// All but a rim.
bool all_but_a_rim(std::int64_t, std::int64_t row, std::int64_t column, const Problem& p) {
  return row >= 13 && row < p.height - 13 && column >= 13 && column < p.width - 13;
}
bool one_plane(std::int64_t plane, std::int64_t, std::int64_t, const Problem& p) { return plane == p.planes() / 2; }

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all = [] {
    std::vector<Scene> list;
    const auto text = [](float by) {
      char buffer[32];
      std::snprintf(buffer, sizeof buffer, "%g", static_cast<double>(by));
      return std::string(buffer);
    };
    // From inside the range of fp16 operands (3) over its very edges (6 for differences, 65504 / 1024 for their
    // squares, 190 for sums) to where fp16 cannot hold a pixel.
    for (const float by : {3.0f, 5.9f, 6.1f, 8.0f, 30.0f, 95.0f, 190.0f, 1000.0f, 1e5f}) {
      const bool emulated = by == 3 || by == 8 || by == 30 || by == 1000 || by == 1e5f;
      list.push_back({"whole_x" + text(by), whole(by), kOne, "uniform", "uniform", emulated, by});
      list.push_back(
          {"pixel_x" + text(by), where(one_pixel, by), kOne, "uniform", "uniform+impulse", emulated && by != 8});
      list.push_back(
          {"part_x" + text(by), where(one_part, by), kOne, "uniform", "uniform+impulse", emulated && by != 8});
      list.push_back({"large_x" + text(by), whole(by), kLarge, "uniform", "uniform", false, by});
      list.push_back({"large_pixel_x" + text(by), where(one_pixel, by), kLarge, "uniform", "uniform+impulse", false});
      list.push_back({"large_part_x" + text(by), where(one_part, by), kLarge, "uniform", "uniform+impulse", false});
    }
    for (const float by : {30.0f, 1e5f}) {
      list.push_back({"samples_x" + text(by), where(samples, by), kOne, "uniform", "uniform+impulse", by == 1e5f});
      list.push_back({"island_x" + text(by), where(island, by), kOne, "uniform", "uniform+impulse", by == 1e5f});
      list.push_back({"rim_x" + text(by), where(all_but_a_rim, by), kOne, "uniform", "uniform+impulse", by == 1e5f});
      list.push_back({"large_samples_x" + text(by), where(samples, by), kLarge, "uniform", "uniform+impulse", false});
      list.push_back({"large_island_x" + text(by), where(island, by), kLarge, "uniform", "uniform+impulse", false});
      list.push_back({"large_rim_x" + text(by), where(all_but_a_rim, by), kLarge, "uniform", "uniform+impulse", false});
      list.push_back({"last_pixel_x" + text(by), where(last_pixel, by), kOne, "uniform", "uniform+impulse", by == 30});
      list.push_back({"one_plane_x" + text(by), where(one_plane, by), kBatch, "uniform", "uniform+impulse", true});
      list.push_back(
          {"large_one_plane_x" + text(by), where(one_plane, by), kLarge, "uniform", "uniform+impulse", false});
    }
    list.push_back(
        {"one_bright_among_dark", where(one_plane, 1000, 1e-4f), kBatch, "uniform", "uniform+impulse", true});
    list.push_back(
        {"one_dark_among_bright", where(one_plane, 1e-4f, 1000), kBatch, "uniform", "uniform+impulse", true, 1000});
    for (const float by : {1e-2f, 1e-3f, 1e-5f}) {
      list.push_back({"dark_x" + text(by), whole(by), kOne, "uniform", "dark", by == 1e-3f});
    }
    for (const float by : {3.0f, 30.0f, 1e5f}) {
      list.push_back({"odd_x" + text(by), whole(by), kOdd, "uniform", "uniform", by == 30, by});
      list.push_back({"odd_pixel_x" + text(by), where(one_pixel, by), kOdd, "uniform", "uniform+impulse", false});
      list.push_back({"odd_part_x" + text(by), where(one_part, by), kOdd, "uniform", "uniform+impulse", by == 1e5f});
    }
    list.push_back({"dark_part", where(one_part, 1e-4f), kOne, "uniform", "uniform+impulse", true});
    // Up to what production promises (kernels/ssim.hpp), and beyond.
    for (const float by : {1e10f, 1e12f}) {
      list.push_back({"whole_x" + text(by), whole(by), kOne, "uniform", "uniform", true, by});
      list.push_back({"odd_x" + text(by), whole(by), kOdd, "uniform", "uniform", false, by});
      list.push_back({"large_x" + text(by), whole(by), kLarge, "uniform", "uniform", false, by});
    }
    // Images of another data range, with its constants.
    for (const float by : {1e-2f, 0.5f, 2.0f, 255.0f}) {
      for (const char* base : {"uniform", "textured", "anticorrelated", "near_3e-3"}) {
        // y = 1 - x, whose sums are exact at powers of two alone: elsewhere uncentred rows round them.
        if (by != 0.5f && by != 2 && std::string(base) == "anticorrelated") continue;
        list.push_back({std::string(base) + "_of_range_" + text(by), whole(by), kOne, base, base, true, by, by});
      }
      list.push_back({"large_of_range_" + text(by), whole(by), kLarge, "uniform", "uniform", false, by, by});
    }
    list.push_back({"dark_but_a_sample", where(one_sample, 1, 1e-4f), kOne, "uniform", "uniform+impulse", true});
    list.push_back({"photographic_x1000", whole(1000), kOne, "textured", "textured", true, 1000});
    return list;
  }();
  return all;
}

ImagePair images_of(const Problem& p, const char* base, const Factor& factor) {
  ImagePair im = make_images(p, base, seed());
  for (std::int64_t i = 0; i < p.elements(); ++i) {
    const float by = factor(i / p.plane_size(), i % p.plane_size() / p.width, i % p.width, p);
    im.x[static_cast<std::size_t>(i)] *= by;
    im.y[static_cast<std::size_t>(i)] *= by;
  }
  return im;
}

/// The case of a scene; kept while tests of the same one follow one another, since all rows of a device share it.
const Case& case_of(Device device, const Scene& scene, Padding padding, const std::string& test) {
  static std::string kept;
  static std::unique_ptr<Case> one;
  const std::string name = std::string(to_string(device)) + to_string(padding) + scene.name;
  if (name != kept) {
    Problem p = scene.problem;
    p.padding = padding;
    p.c1 = static_cast<float>(std::pow(0.01 * static_cast<double>(scene.data_range), 2));
    p.c2 = static_cast<float>(std::pow(0.03 * static_cast<double>(scene.data_range), 2));
    one = std::make_unique<Case>(device, p, images_of(p, scene.base, scene.factor), scene.tolerance, test,
                                 static_cast<double>(scene.range));
    kept = name;
  }
  one->set_test(test);
  return *one;
}

void right_or_refused(const Implementation& row, Mode mode, Padding padding, const Scene& scene,
                      const std::string& test) {
  if (const std::string reason = cannot_run(row.device); !reason.empty()) {
    return skip(reason, row.device == Device::cuda);
  }
  const Case& one = case_of(row.device, scene, padding, test);
  if (const std::string reason = row.supports(one.problem(), mode); !reason.empty()) {
    return skip(key(row) + " does not support it: " + reason);
  }
  const Verdict v = verify_row(row, one, mode);
  EXPECT_TRUE(v.ok) << v.message;
}

// One bad pixel in the middle plane of three, in images that are otherwise in range or beyond it.
void nothing_but_nan(const Implementation& row, Mode mode, Padding padding, float scale) {
  Problem p{.batch = 3, .height = 48, .width = 64};
  p.padding = padding;
  if (const std::string reason = row.supports(p, mode); !reason.empty()) {
    return skip(key(row) + " does not support it: " + reason);
  }
  const ImagePair im = images_of(p, "uniform", whole(scale));
  const Result good = run_row(row, p, mode, im.x, im.y);
  const std::int64_t plane = 1, bad_row = 21, bad_column = 30;
  const float infinity = std::numeric_limits<float>::infinity();
  const double limit_share = tolerance(row, "uniform").gradient;
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    for (const bool in_x : {true, false}) {
      ImagePair spoilt = im;
      (in_x ? spoilt.x : spoilt.y)[static_cast<std::size_t>(plane * p.plane_size() + bad_row * p.width + bad_column)] =
          bad;
      SCOPED_TRACE(std::to_string(bad) + (in_x ? " in x" : " in y"));
      const Result r = run_row(row, p, mode, spoilt.x, spoilt.y);
      EXPECT_TRUE(std::isnan(r.mean)) << "the mean is " << r.mean;
      if (mode == Mode::infer) continue;
      const std::vector<double> want = oracle(p, spoilt.x.data(), spoilt.y.data()).grad_x;
      double squares = 0;
      std::int64_t finite = 0;
      for (const double w : want) {
        if (std::isfinite(w)) squares += w * w, ++finite;
      }
      const double limit =
          limit_share * std::sqrt(squares / static_cast<double>(finite)) +
          tolerance(row, "uniform").gradient_unit / static_cast<double>(scale) / static_cast<double>(p.counted());
      std::int64_t wrong = 0, first = -1;
      for (std::int64_t i = 0; i < p.elements(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        const bool own_plane = i / p.plane_size() == plane;
        const bool fine =
            !own_plane ? !row.repeatable || r.gradient[at] == good.gradient[at]
            : std::isnan(want[at])
                ? std::isnan(r.gradient[at])
                : std::isnan(r.gradient[at]) || std::abs(static_cast<double>(r.gradient[at]) - want[at]) <= limit;
        if (!fine && wrong++ == 0) first = i;
      }
      EXPECT_EQ(wrong, 0) << "elements; the first: plane " << first / p.plane_size() << ", row "
                          << first % p.plane_size() / p.width << ", column " << first % p.width << " is "
                          << r.gradient[static_cast<std::size_t>(first)] << ", oracle "
                          << want[static_cast<std::size_t>(first)];
    }
  }
}

// Finite images whose squares, or products of these, are beyond fp32: right or NaN, never another number.
void right_or_nan(const Implementation& row, Mode mode, Padding padding) {
  if (const std::string reason = cannot_run(row.device); !reason.empty()) {
    return skip(reason, row.device == Device::cuda);
  }
  Problem p = kOne;
  p.padding = padding;
  if (const std::string reason = row.supports(p, mode); !reason.empty()) {
    return skip(key(row) + " does not support it: " + reason);
  }
  for (const float by : {1e14f, 1e16f, 1e18f, 1e20f, 1e30f, 1e38f}) {
    SCOPED_TRACE(by);
    const ImagePair im = images_of(p, "uniform", whole(by));
    const Result got = run_row(row, p, mode, im.x, im.y);
    const OracleAnswer want = oracle(p, im.x.data(), im.y.data());
    const Tolerance allowed = tolerance(row, "uniform");
    EXPECT_FALSE(std::abs(got.mean - want.mean) > allowed.mean + allowed.position)
        << got.mean << ", oracle " << want.mean;
  }
}

void register_all(Registrar& registrar) {
  for (const Scene& scene : scenes()) {
    for (const Padding padding : kPaddings) {
      for (const Implementation& row : all_rows()) {
        if (row.device == Device::cuda_emulated && !scene.emulated) continue;
        if (row.device != Device::cuda && &scene.problem == &kLarge) continue;  // what a card's many blocks are for
        if (row.baseline && !for_baselines(scene.problem)) continue;
        if (row.baseline && scene.range > 1e9f) continue;  // theirs multiply four means: NaN, as the packages have
        for (const Mode mode : kModes) {
          const std::string name = key(row) + ":" + to_string(mode) + ":" + to_string(padding) + "/" + scene.name;
          registrar.add("range", name, [&row, mode, padding, &scene, name] {
            right_or_refused(row, mode, padding, scene, "range." + name);
          });
        }
      }
    }
  }
  each_row_mode_padding(registrar, "range_beyond", right_or_nan);
  each_row_mode_padding(registrar, "range_nan", [](const Implementation& row, Mode mode, Padding padding) {
    nothing_but_nan(row, mode, padding, 1);
  });
  each_row_mode_padding(registrar, "range_nan_beyond", [](const Implementation& row, Mode mode, Padding padding) {
    nothing_but_nan(row, mode, padding, 1000);
  });
}

const RegisterTests registration(register_all);

// That the scenes do what they are there for: a row that holds pixels in fp16, as it comes, fails beyond fp16's range.
TEST(RangeScenes, ShowARowWithoutARange) {
  Implementation row = *std::find_if(all_rows().begin(), all_rows().end(),
                                     [](const Implementation& r) { return r.device == Device::cpu && !r.baseline; });
  const auto inner = row.value;
  row.value = [inner](const Problem& p, const Arguments& a) {
    std::vector<float> x(a.x, a.x + p.elements()), y(a.y, a.y + p.elements());
    for (auto* image : {&x, &y}) {
      for (float& v : *image) v = std::min(v, 6.0f);
    }
    Arguments clipped = a;
    clipped.x = x.data();
    clipped.y = y.data();
    return inner(p, clipped);
  };
  int caught = 0, of = 0;
  for (const Scene& scene : scenes()) {
    if (&scene.problem == &kLarge) continue;
    const bool beyond = scene.name.find("x1000") != std::string::npos || scene.name.find("x1e+05") != std::string::npos;
    if (!beyond) continue;
    ++of;
    const Case one(Device::cpu, scene.problem, images_of(scene.problem, scene.base, scene.factor), scene.tolerance,
                   scene.name);
    caught += !verify_row(row, one, Mode::infer).ok;
  }
  EXPECT_GT(of, 6);
  EXPECT_EQ(caught, of);
}

}  // namespace
}  // namespace ssim::verify
