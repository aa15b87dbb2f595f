// SPDX-License-Identifier: MIT
// No tolerance is loose, and none is above the accuracy that the suite promises. Loose: more than ten times the largest
// error that any row with this tolerance shows in the committed accuracy tables of all machines
// (reports/results/*/accuracy.json, written by ssim_accuracy), and more than four ulp.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "test_main.hpp"
#include "tolerance.hpp"

namespace ssim::verify {
namespace {

constexpr double kFloor = 4 * 1.1920929e-7;  // ulp of numbers from 1 to 2, which SSIM's terms are
constexpr double kLoose = 10;
constexpr double kUnitFloor = 1e-6;  // of the gradient's unit: what is promised where a gradient is zero

// Rows that share their tolerances, and the class. An fp32 mean adds to that alone, but to rows of the classic basis.
using Group = std::tuple<Basis, bool, bool, bool, std::string>;
Group group_of(const Implementation& row, const std::string& input_class) {
  const bool composed = row.basis == Basis::classic && row.mean_is_fp32;
  return {row.basis, row.centred, row.fp16_taps, composed, input_class};
}

std::string name_of(const Group& group) {
  const auto& [basis, centred, fp16_taps, composed, input_class] = group;
  return input_class + (basis == Basis::classic ? ", classic" : ", sum/difference") + (centred ? "" : ", uncentred") +
         (fp16_taps ? ", fp16 taps" : "") + (composed ? ", composed" : "");
}

// A card's row has the tolerances of the emulated one, which every build has.
const Implementation* row_of(const nlohmann::json& line) {
  const std::string device = line.at("device"), name = line.at("name");
  const auto find = [&](const std::string& on) -> const Implementation* {
    for (const Implementation& row : all_rows()) {
      if (on == to_string(row.device) && name == row.name) return &row;
    }
    return nullptr;
  };
  const Implementation* row = find(device);
  return !row && device == to_string(Device::cuda) ? find(to_string(Device::cuda_emulated)) : row;
}

double infinite_if_null(const nlohmann::json& line, const char* field) {
  if (!line.contains(field)) return 0;
  return line.at(field).is_null() ? std::numeric_limits<double>::infinity() : line.at(field).get<double>();
}

// One figure of a tolerance: what is allowed, and the worst that was seen.
struct Figure {
  double allowed = 0, seen = 0;
};

using Figures = std::map<const char*, Figure>;

std::map<Group, Figures> read_tables(int* tables) {
  std::map<Group, Figures> all;
  for (const auto& entry : std::filesystem::directory_iterator(SSIM_RESULTS)) {
    std::ifstream file(entry.path() / "accuracy.json");
    if (!file) continue;
    ++*tables;
    const nlohmann::json table = nlohmann::json::parse(file);
    for (const auto& line : table.at("rows")) {
      EXPECT_EQ(line.at("failures"), 0) << entry.path() << ": " << line;
      const Implementation* row = row_of(line);
      if (!row || !is_input_class(line.at("class"))) continue;
      const Tolerance allowed = tolerance(*row, line.at("class"));
      Figures& figures = all[group_of(*row, line.at("class"))];
      const auto seen = [&](const char* name, double of, const char* field) {
        Figure& figure = figures[name];
        figure.allowed = of;
        figure.seen = std::max(figure.seen, infinite_if_null(line, field));
      };
      seen("mean", allowed.mean, "mean_of_many");
      seen("position", allowed.position, "mean_rooted");
      if (allowed.loss > 0) seen("loss", allowed.loss, "loss");
      if (allowed.loss_position > 0 && line.contains("loss_rooted")) {
        seen("loss_position", allowed.loss_position, "loss_rooted");
      }
      if (!line.contains("gradient")) continue;
      seen("gradient", allowed.gradient, "gradient");
      seen("gradient_unit", allowed.gradient_unit, "gradient_unit");
    }
  }
  return all;
}

TEST(Tolerance, IsWithinTenTimesTheLargestError) {
  int tables = 0;
  const std::map<Group, Figures> all = read_tables(&tables);
  ASSERT_GT(tables, 0) << "no accuracy.json is committed below reports/results";
  for (const Implementation& row : all_rows()) {
    for (const InputClass& c : input_classes()) {
      EXPECT_TRUE(all.count(group_of(row, c.name))) << "no table has " << name_of(group_of(row, c.name));
    }
  }
  for (const auto& [group, figures] : all) {
    for (const auto& [name, figure] : figures) {
      const double floor = std::string(name) == "gradient_unit" ? kUnitFloor : kFloor;
      EXPECT_LE(figure.allowed, std::max(floor, kLoose * figure.seen))
          << name_of(group) << ": " << name << " is loose, " << figure.seen << " was seen at most";
    }
  }
}

// The accuracy that rows of the sum/difference basis promise: mean (absolute) and gradient (of its RMS).
TEST(Tolerance, OfCentredRowsIsWhatIsPromised) {
  const struct {
    std::vector<const char*> classes;
    double mean, gradient;
  } kPromised[] = {
      {{"uniform", "checkerboard", "textured", "dark", "hdr"}, 5e-7, 2e-5},
      {{"anticorrelated", "impulse", "pattern"}, 5e-7, 1e-4},
      {{"smooth", "waves", "near_1e-2", "near_3e-3", "near_5e-4", "local"}, 3e-7, 1e-3},
      {{"photo_blur", "photo_noise", "photo_quantise", "photo_shift"}, 3e-7, 1e-3},
      {{"flat"}, 1e-7, 2e-3},
      {{"edges"}, 5e-7, 3e-3},
      {{"constant_unequal"}, 3e-6, 2e-3},
      {{"constant_levels"}, 2e-4, 2e-3},  // what the published arithmetic does
      {{"identical", "constant_0", "constant_1"}, 1e-15, 0},
  };
  std::size_t classes = 0;
  Implementation row, tensor;  // centred ones of the sum/difference basis, whose mean is an fp64 number
  ASSERT_TRUE(row.basis == Basis::sum_difference && row.centred && !row.mean_is_fp32 && !row.fp16_taps);
  tensor.fp16_taps = true;
  for (const auto& [names, mean, gradient] : kPromised) {
    for (const char* name : names) {
      for (const Implementation* one : {&row, &tensor}) {
        const Tolerance allowed = tolerance(*one, name);
        EXPECT_LE(allowed.mean, mean) << name;
        EXPECT_LE(allowed.gradient, gradient) << name;
        EXPECT_LE(allowed.gradient_unit, 1e-6) << name;
      }
      ++classes;
    }
  }
  EXPECT_EQ(classes, input_classes().size());
  EXPECT_LE(tolerance(row, "near_5e-4").loss, 1e-5);
  EXPECT_GT(tolerance(row, "near_5e-4").loss, 0);
  EXPECT_LE(tolerance(tensor, "near_5e-4").loss, 2.5e-5);  // by so much more is their window off
  EXPECT_GT(tolerance(tensor, "near_5e-4").loss, 0);
}

// A row with fp16 taps may take the fp32 way, or be production and take such a row.
TEST(Tolerance, OfFp16TapsIsNoLessThanOfCentredRows) {
  Implementation row, tensor;
  tensor.fp16_taps = true;
  for (const InputClass& c : input_classes()) {
    const Tolerance fp32 = tolerance(row, c.name), fp16 = tolerance(tensor, c.name);
    EXPECT_GE(fp16.mean, fp32.mean) << c.name;
    EXPECT_GE(fp16.position, fp32.position) << c.name;
    EXPECT_GE(fp16.gradient, fp32.gradient) << c.name;
    EXPECT_GE(fp16.gradient_unit, fp32.gradient_unit) << c.name;
    EXPECT_GE(fp16.loss, fp32.loss) << c.name;
  }
}

}  // namespace
}  // namespace ssim::verify
