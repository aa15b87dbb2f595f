// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "stopping.hpp"

namespace ssim::bench {
namespace {

const StoppingRule kRule{.half_width = 0.01, .cap_seconds = 10};

TEST(Stopping, SteadySamplesConvergeAtTheLeastNumber) {
  std::vector<double> samples(31, 1e-3);
  EXPECT_EQ(decide(kRule, samples, 8, 0.1), Decision::go_on);
  samples.push_back(1e-3);
  EXPECT_EQ(decide(kRule, samples, 8, 0.1), Decision::converged);
}

TEST(Stopping, RoundsAreNeededToo) {
  const std::vector<double> samples(64, 1e-3);
  EXPECT_EQ(decide(kRule, samples, 4, 0.1), Decision::go_on);
  EXPECT_EQ(decide(kRule, samples, 5, 0.1), Decision::converged);
}

TEST(Stopping, ANumberOfRoundsIsAllThatCountsWhereOneIsGiven) {
  const StoppingRule rule{.exact_rounds = 3, .cap_seconds = 1};
  const std::vector<double> restless{1e-3, 5e-3, 2e-3, 9e-3};
  EXPECT_EQ(decide(rule, restless, 2, 0.1), Decision::go_on);
  EXPECT_EQ(unmet(rule, restless, 2), "2 of 3 rounds");
  EXPECT_EQ(decide(rule, restless, 3, 0.1), Decision::converged);
  EXPECT_EQ(decide(rule, std::vector<double>(500, 1e-3), 2, 0.1), Decision::go_on);
  EXPECT_EQ(decide(rule, restless, 2, 1.1), Decision::capped);
  EXPECT_EQ(unmet(rule, {}, 3), "no samples");
}

TEST(Stopping, NothingIsNotConverged) {
  EXPECT_EQ(decide(kRule, {}, 0, 0), Decision::go_on);
  EXPECT_EQ(decide(kRule, {}, 0, 10), Decision::capped);
  EXPECT_EQ(unmet(kRule, {}, 0), "no samples");
}

TEST(Stopping, LongCallsNeedFewerSamplesButAnInterval) {
  std::vector<double> samples(5, 2.0);
  EXPECT_EQ(decide(kRule, samples, 5, 5), Decision::go_on);  // five samples have no 95 % interval
  samples.push_back(2.0);
  EXPECT_EQ(decide(kRule, samples, 6, 5), Decision::converged);
  std::vector<double> short_calls(6, 0.5);
  EXPECT_EQ(decide(kRule, short_calls, 6, 5), Decision::go_on);
}

TEST(Stopping, BimodalSamplesDoNotConverge) {
  // Half at 1, half at 1.1: the median jumps between the two and its interval spans both.
  std::vector<double> samples;
  for (int i = 0; i < 400; ++i) samples.push_back(i % 2 ? 1e-3 : 1.1e-3);
  EXPECT_EQ(decide(kRule, samples, 50, 1), Decision::go_on);
  EXPECT_EQ(decide(kRule, samples, 50, 10), Decision::capped);
  EXPECT_NE(unmet(kRule, samples, 50).find("wanted +-1 %"), std::string::npos) << unmet(kRule, samples, 50);
}

TEST(Stopping, DriftDoesNotConvergeWhileItIsLargerThanTheWidth) {
  std::vector<double> samples;
  for (int i = 0; i < 64; ++i) samples.push_back(1e-3 * (1 + 0.005 * i));  // 32 % in all
  EXPECT_EQ(decide(kRule, samples, 16, 1), Decision::go_on);
}

TEST(Stopping, OutliersDoNotPreventConvergence) {
  std::vector<double> samples(60, 1e-3);
  for (int i = 0; i < 6; ++i) samples.push_back(50e-3);
  EXPECT_EQ(decide(kRule, samples, 16, 1), Decision::converged);
}

TEST(Stopping, TheCapSaysWhatIsLacking) {
  const std::vector<double> samples(12, 1e-3);
  EXPECT_EQ(decide(kRule, samples, 3, 10), Decision::capped);
  EXPECT_EQ(unmet(kRule, samples, 3), "12 of 32 samples; 3 of 5 rounds");
}

TEST(Stopping, ConvergenceBeatsTheCap) {
  EXPECT_EQ(decide(kRule, std::vector<double>(32, 1e-3), 8, 11), Decision::converged);
}

TEST(Stopping, NoisySamplesStopWhenTheirMedianIsKnown) {
  // Normal noise of 3 %: the half width of the median's interval is about 1.96 * 1.25 * 3 % / sqrt(n).
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(1, 0.03);
  std::vector<double> samples;
  while (decide(kRule, samples, static_cast<int>(samples.size() / 4), 0) == Decision::go_on && samples.size() < 5000) {
    samples.push_back(1e-3 * noise(random));
  }
  EXPECT_GT(samples.size(), 25u);
  EXPECT_LT(samples.size(), 400u);
  EXPECT_NEAR(summarize(samples).median, 1e-3, 2e-5);
}

}  // namespace
}  // namespace ssim::bench
