// SPDX-License-Identifier: MIT
// The table of preferences and what production makes of it: only rows that are right enough, only where they support
// the problem, other classes of devices without what was made for the measured one, unaligned pointers, and explain().
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "kernels/explain.hpp"
#include "kernels/production.hpp"
#include "kernels/registry.hpp"
#include "test_main.hpp"

namespace ssim::verify {
namespace {

constexpr Device kDevices[] = {Device::cpu, Device::cuda, Device::cuda_emulated};
constexpr Mode kModes[] = {Mode::infer, Mode::train};

bool built(Device device) { return find_row(device, "production") != nullptr; }

// Of all widths, small and large, both paddings.
std::vector<Problem> problems() {
  std::vector<Problem> result;
  for (const std::int64_t width : {1, 11, 16, 127, 128, 255, 256, 510, 512, 513, 1921, 1922, 1920, 8192}) {
    for (const std::int64_t height : {1, 16, 512, 4320}) {
      for (const std::int64_t batch : {1, 3, 70'000}) {
        for (const Padding padding : {Padding::same, Padding::valid}) {
          const Problem p{.batch = batch, .channels = 3, .height = height, .width = width, .padding = padding};
          if (check(p)) result.push_back(p);
        }
      }
    }
  }
  return result;
}

TEST(Selection, NamesOnlyRowsThatMeetWhatIsAskedOfProduction) {
  for (const Device device : kDevices) {
    if (!built(device)) continue;
    int named = 0;
    for (const SelectionLine& line : selection_lines()) {
      if ((line.device == Device::cpu) != (device == Device::cpu)) continue;
      for (const char* name : line.rows) {
        if (!name) break;
        const Implementation* row = find_row(device, name);
        ASSERT_NE(row, nullptr) << to_string(device) << ":" << name;
        EXPECT_TRUE(candidate(*row)) << key(*row);
        ++named;
      }
    }
    EXPECT_GT(named, 0);
  }
}

TEST(Selection, RowsThatRoundMoreAreNoCandidates) {
  Implementation row{.name = "some", .idea = {}, .tile = {}};
  EXPECT_TRUE(candidate(row));
  for (const auto& spoil : std::initializer_list<void (*)(Implementation&)>{
           [](Implementation& r) { r.basis = Basis::classic; }, [](Implementation& r) { r.centred = false; },
           [](Implementation& r) { r.mean_is_fp32 = true; }, [](Implementation& r) { r.repeatable = false; },
           [](Implementation& r) { r.capturable = false; }, [](Implementation& r) { r.baseline = true; },
           [](Implementation& r) { r.rounds_mean = false; }}) {
    Implementation spoilt = row;
    spoil(spoilt);
    EXPECT_FALSE(candidate(spoilt));
  }
}

TEST(Selection, TakesARowThatSupportsTheProblemWhateverThePointers) {
  for (const Device device : kDevices) {
    if (!built(device)) continue;
    const Implementation& row = *find_row(device, "production");
    for (const Problem& p : problems()) {
      for (const Mode mode : kModes) {
        EXPECT_EQ(row.supports(p, mode), "") << key(row, p, mode);
        const std::int64_t workspace = row.workspace_bytes(p, mode);
        for (const std::uintptr_t pointers : {16, 8, 4}) {
          const Choice choice = choose(device, p, mode, pointers);
          ASSERT_NE(choice.row, nullptr) << key(row, p, mode);
          EXPECT_EQ(choice.row->supports(p, mode), "") << key(*choice.row, p, mode);
          EXPECT_GE(workspace, choice.row->workspace_bytes(p, mode)) << key(*choice.row, p, mode);
          const SelectionLine& line = *choice.decision.line;
          EXPECT_TRUE(std::any_of(std::begin(line.rows), std::end(line.rows),
                                  [&](const char* name) { return name && choice.row->name == name; }));
        }
      }
    }
  }
}

// The emulation takes itself for 9.0, so that supports() lets every row through.
TEST(Selection, OtherClassesOfCardsDoWithoutWhatIsMadeForTheMeasuredOne) {
  if (!built(Device::cuda_emulated)) return skip("built without the emulation");
  std::set<int> measured;
  for (const SelectionLine& line : selection_lines()) {
    if (line.device == Device::cuda) measured.insert(line.capability);
  }
  ASSERT_FALSE(measured.empty());
  bool made_for_one = false;
  for (const int capability : {0, 80, 86, 89, 90, 100, 120}) {
    for (const Problem& p : problems()) {
      for (const Mode mode : kModes) {
        const Choice choice = choose(Device::cuda_emulated, {capability, 108}, p, mode);
        ASSERT_NE(choice.row, nullptr) << capability << " "
                                       << key(*find_row(Device::cuda_emulated, "production"), p, mode);
        EXPECT_EQ(choice.decision.exact, measured.count(capability) == 1) << capability;
        if (!choice.decision.exact) EXPECT_EQ(choice.row->made_for, 0) << key(*choice.row) << " on " << capability;
        made_for_one |= choice.decision.exact && choice.row->made_for != 0;
      }
    }
  }
  EXPECT_TRUE(made_for_one) << "nothing was told apart";
}

TEST(Selection, TheFirstLineThatMatchesDecides) {
  for (const Device device : {Device::cpu, Device::cuda}) {
    for (const DeviceClass of : {DeviceClass{0, 1}, DeviceClass{90, 132}}) {
      if ((of.capability == 0) != (device == Device::cpu)) continue;
      for (const Problem& p : problems()) {
        for (const int alignment : {4, 8, 16}) {
          const Decision decision = decide(device, of, p, Mode::train, alignment);
          ASSERT_NE(decision.line, nullptr);
          const std::int64_t each = (p.elements() + of.multiprocessors - 1) / of.multiprocessors;
          for (const SelectionLine& line : selection_lines()) {
            if (line.device != device || line.capability != decision.line->capability) continue;
            const bool hit = matches(line, Mode::train, p.padding, alignment, p.width, each);
            ASSERT_EQ(hit, &line == decision.line);
            if (hit) break;
          }
        }
      }
    }
  }
}

TEST(Selection, AlignmentOfRows) {
  const auto of = [](std::int64_t width, std::uintptr_t pointers) { return row_alignment({.width = width}, pointers); };
  EXPECT_EQ(of(1920, 16), 16);
  EXPECT_EQ(of(1920, 0x7f0000001000), 16);
  EXPECT_EQ(of(1922, 16), 8);
  EXPECT_EQ(of(1921, 256), 4);
  EXPECT_EQ(of(1920, 8), 8);
  EXPECT_EQ(of(1920, 0x7f0000001004 | 0x7f0000002000), 4);
  EXPECT_EQ(of(1921, 8), 4);
}

TEST(Selection, ExplainTellsTheLine) {
  for (const Device device : kDevices) {
    if (!built(device) || !device_available(device)) continue;
    for (const Problem& p : problems()) {
      for (const Mode mode : kModes) {
        const std::vector<RowVerdict> verdicts = explain(device, p, mode);
        EXPECT_EQ(verdicts.front().row, chosen_row(device, p, mode));
        const Choice choice = choose(device, p, mode);
        EXPECT_NE(verdicts.front().why.find(to_string(*choice.decision.line)), std::string::npos);
        EXPECT_NE(verdicts.front().why.find("kernels/selection_table.hpp"), std::string::npos);
        EXPECT_NE(verdicts.front().why.find(choice.decision.line->figures), std::string::npos);
        for (const RowVerdict& verdict : verdicts) EXPECT_FALSE(verdict.why.empty()) << verdict.row;
      }
    }
  }
}

}  // namespace
}  // namespace ssim::verify
