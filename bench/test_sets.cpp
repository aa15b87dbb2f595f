// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <set>

#include "sets.hpp"

namespace ssim::bench {
namespace {

Implementation row(const char* name, Device device, bool baseline = false) {
  Implementation result;
  result.name = name;
  result.device = device;
  result.baseline = baseline;
  return result;
}

const std::vector<Implementation> kRows = {
    row("stream", Device::cpu), row("production", Device::cpu),  row("pytorch_mssim", Device::cpu, true),
    row("tiled", Device::cuda), row("production", Device::cuda), row("stream", Device::cuda_emulated)};
const KeyFilter kAll = [](const Key&) { return true; };

// A file of sets that is removed again.
class SetsFile {
 public:
  explicit SetsFile(const std::string& text) {
    char pattern[] = "/tmp/ssim-sets-XXXXXX";
    close(mkstemp(pattern));
    path = pattern;
    std::ofstream(path) << text;
  }
  ~SetsFile() { std::remove(path.c_str()); }
  std::string path;
};

std::string with_block(const std::string& block) {
  return R"({"schema": 1, "sets": {"own": {"cpu": {"seconds": {"best": 10, "stock": 5}, "half_width": 0.01,
             "max_cap": 10, "blocks": [)" +
         block + "]}}}}";
}

std::string misuse(const std::string& text, const std::string& name = "own") {
  const SetsFile file(text);
  try {
    read_set(file.path, name, Device::cpu);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::set<std::string> keys(const std::vector<Group>& groups) {
  std::set<std::string> result;
  for (const Group& group : groups) {
    for (const Group::Item& item : group.items) {
      for (const Clock clock : item.clocks) EXPECT_TRUE(result.insert(group.key(item, clock).text()).second);
    }
  }
  return result;
}

TEST(Sets, TheProjectsOwnSetsAreReadOnEveryDevice) {
  for (const char* name : {"smoke", "claim", "sweep", "cliffs", "unaligned", "tune"}) {
    for (const Device device : {Device::cpu, Device::cuda}) {
      const ProblemSet set = read_set(SSIM_SETS_FILE, name, device);
      EXPECT_FALSE(make_plan(set, kRows, Settings::best, kAll).empty()) << name;
    }
  }
}

TEST(Sets, ClaimHasTheShapesOfItsClaim) {
  const auto shapes = [](Device device) {
    std::set<std::string> result;
    for (const Group& group : make_plan(read_set(SSIM_SETS_FILE, "claim", device), kRows, Settings::best, kAll)) {
      result.insert(to_string(group.shape));
    }
    return result;
  };
  EXPECT_EQ(shapes(Device::cpu),
            (std::set<std::string>{"1x1x256x256", "1x3x256x256", "4x3x256x256", "1x3x512x512", "1x3x1080x1920"}));
  EXPECT_EQ(shapes(Device::cuda),
            (std::set<std::string>{"16x3x1080x1920", "1x3x1080x1920", "1x3x512x512", "5x1x1500x1500"}));
}

TEST(Sets, APlanHasRowsOfItsDeviceSmallShapesFirst) {
  const SetsFile file(with_block(R"({"shapes": ["1x3x512x512", "1x1x64x64"]})"));
  const ProblemSet set = read_set(file.path, "own", Device::cpu);
  const std::vector<Group> groups = make_plan(set, kRows, Settings::best, kAll);
  ASSERT_EQ(groups.size(), 8u);  // shapes x paddings x modes
  EXPECT_EQ(to_string(groups.front().shape), "1x1x64x64");
  EXPECT_EQ(groups.front().keys(), 3);
  EXPECT_EQ(keys(groups).count("cpu:stream:train:valid:1x3x512x512:wall"), 1u);
  EXPECT_EQ(keys(groups).size(), 24u);
}

TEST(Sets, StockTimesBaselinesAndProduction) {
  const SetsFile file(with_block(R"({"shapes": ["1x1x64x64"], "modes": ["train"], "paddings": ["valid"]})"));
  const ProblemSet set = read_set(file.path, "own", Device::cpu);
  EXPECT_EQ(keys(make_plan(set, kRows, Settings::stock, kAll)),
            (std::set<std::string>{"cpu:production:train:valid:1x1x64x64:wall",
                                   "cpu:pytorch_mssim:train:valid:1x1x64x64:wall"}));
}

TEST(Sets, ABlockMayBelongToOnePass) {
  const SetsFile file(with_block(R"({"shapes": ["1x1x64x64"], "modes": ["train"], "settings": ["best"]})"));
  const ProblemSet set = read_set(file.path, "own", Device::cpu);
  EXPECT_EQ(keys(make_plan(set, kRows, Settings::best, kAll)).size(), 6u);
  EXPECT_TRUE(make_plan(set, kRows, Settings::stock, kAll).empty());
}

TEST(Sets, BlocksMayNameRowsAndOverlap) {
  const SetsFile file(with_block(R"({"shapes": ["1x1x64x64"], "rows": "production", "modes": ["infer"]},
      {"cross": {"batch": [1], "channels": [1, 3], "size": ["64x64"]}, "rows": "pro.*|stream", "modes": ["infer"],
       "paddings": ["same"]})"));
  const ProblemSet set = read_set(file.path, "own", Device::cpu);
  EXPECT_EQ(
      keys(make_plan(set, kRows, Settings::best, kAll)),
      (std::set<std::string>{"cpu:production:infer:same:1x1x64x64:wall", "cpu:production:infer:valid:1x1x64x64:wall",
                             "cpu:stream:infer:same:1x1x64x64:wall", "cpu:production:infer:same:1x3x64x64:wall",
                             "cpu:stream:infer:same:1x3x64x64:wall"}));
}

TEST(Sets, TheFilterDecides) {
  const ProblemSet set = read_set(SSIM_SETS_FILE, "smoke", Device::cpu);
  EXPECT_TRUE(make_plan(set, kRows, Settings::best, [](const Key&) { return false; }).empty());
}

TEST(Sets, MisuseIsNamed) {
  EXPECT_NE(misuse(with_block(R"({"shapes": ["1x1x64x64"]})"), "huge").find("no set 'huge'; there are: own"),
            std::string::npos);
  EXPECT_NE(misuse(with_block(R"({"shapes": ["1x64x64"]})")).find("'1x64x64' is not of the form BxCxHxW"),
            std::string::npos);
  EXPECT_NE(misuse(with_block(R"({"shapes": ["1x1x0x64"]})")).find("BxCxHxW"), std::string::npos);
  EXPECT_NE(misuse(with_block(R"({"shapes": ["1x1x8x64"], "clocks": ["cold"]})")).find("clock cold does not exist"),
            std::string::npos);
  EXPECT_NE(misuse(with_block(R"({"shapes": ["1x1x8x64"], "modes": ["fast"]})")).find("'fast' is none of infer, train"),
            std::string::npos);
  EXPECT_NE(misuse(with_block(R"({"shape": ["1x1x8x64"]})")).find("unknown field 'shape'"), std::string::npos);
  EXPECT_NE(misuse(with_block("{}")).find("without shapes"), std::string::npos);
  EXPECT_NE(misuse("{").find("parse error"), std::string::npos);
  EXPECT_THROW(read_set("/nowhere/sets.json", "smoke", Device::cpu), std::invalid_argument);
}

}  // namespace
}  // namespace ssim::bench
