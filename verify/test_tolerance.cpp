// SPDX-License-Identifier: MIT
// No tolerance is loose: each is within ten times the largest error that any row with this tolerance shows in the
// committed accuracy tables (reports/results/*/accuracy.json, written by ssim_accuracy), or below four ulp.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
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

// Rows that share their tolerances.
using Group = std::tuple<Basis, bool, bool>;
Group group_of(const Implementation& row) { return {row.basis, row.centred, row.mean_is_fp32}; }

struct Seen {
  double mean = 0, gradient = 0;  // largest share of what is allowed
  Tolerance allowed{};
};

TEST(Tolerance, IsWithinTenTimesTheLargestError) {
  std::map<std::pair<Group, std::string>, Seen> seen;
  int tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SSIM_RESULTS)) {
    std::ifstream file(entry.path() / "accuracy.json");
    if (!file) continue;
    ++tables;
    const nlohmann::json table = nlohmann::json::parse(file);
    for (const auto& line : table.at("rows")) {
      const auto& rows = all_rows();
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const Implementation& r) {
        return line.at("device") == to_string(r.device) && line.at("name") == r.name.c_str();
      });
      if (row == rows.end() || !is_input_class(line.at("class"))) continue;
      const std::string name = line.at("class");
      const Tolerance allowed = tolerance(*row, name);
      EXPECT_NEAR(line.at("mean_allowed").get<double>(), allowed.mean, 1e-3 * allowed.mean)
          << entry.path() << " is older than the tolerance of " << name << ": write it anew with ssim_accuracy";
      EXPECT_NEAR(line.at("gradient_allowed").get<double>(), allowed.gradient, 1e-3 * allowed.gradient)
          << entry.path() << " is older than the tolerance of " << name;
      Seen& s = seen[{group_of(*row), name}];
      s.allowed = allowed;
      s.mean = std::max(s.mean, line.at("mean_share").get<double>());
      s.gradient = std::max(s.gradient, line.at("gradient_share").get<double>());
      EXPECT_LE(s.mean, 1) << line;
      EXPECT_LE(s.gradient, 1) << line;
    }
  }
  if (tables == 0) return skip("no accuracy.json is committed below reports/results");
  EXPECT_GT(seen.size(), input_classes().size());
  for (const auto& [what, s] : seen) {
    const auto& [basis, centred, fp32] = what.first;
    const std::string name = what.second + (basis == Basis::classic ? ", classic" : ", sum/difference") +
                             (centred ? "" : ", uncentred") + (fp32 ? ", fp32 mean" : "");
    EXPECT_TRUE(s.mean >= 0.1 || s.allowed.mean <= kFloor)
        << name << ": mean " << s.allowed.mean << ", of which at most " << s.mean << " was seen";
    EXPECT_TRUE(s.gradient >= 0.1 || s.gradient == 0 || s.allowed.gradient <= kFloor)
        << name << ": gradient " << s.allowed.gradient << ", of which at most " << s.gradient << " was seen";
  }
}

}  // namespace
}  // namespace ssim::verify
