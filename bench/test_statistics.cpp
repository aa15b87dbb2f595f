// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "statistics.hpp"

namespace ssim::bench {
namespace {

std::vector<double> first(int n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(Statistics, QuantilesInterpolateAsNumpyDoes) {
  // numpy.quantile([1, 2, 4, 8], [0, .25, .5, .9, 1]) = [1, 1.75, 3, 6.8, 8]
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 3);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 6.8);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 8);
  EXPECT_DOUBLE_EQ(quantile({5}, 0.3), 5);
  EXPECT_THROW(quantile({}, 0.5), std::invalid_argument);
}

TEST(Statistics, MedianTakesAnyOrder) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
}

// Ranks of the published table of 95 % intervals for the median, e.g. Hollander, Wolfe and Chicken, table of the sign
// test: n = 6 [1, 6], 8 [1, 8], 9 [2, 8], 10 [2, 9], 20 [6, 15], 32 [10, 23], 50 [18, 33], 100 [40, 61].
TEST(Statistics, IntervalRanks) {
  const struct {
    int n, low, high;
  } table[] = {{6, 1, 6}, {8, 1, 8}, {9, 2, 8}, {10, 2, 9}, {20, 6, 15}, {32, 10, 23}, {50, 18, 33}, {100, 40, 61}};
  for (const auto& [n, low, high] : table) {
    const Interval interval = median_interval(first(n));
    EXPECT_EQ(interval.low, low) << n;
    EXPECT_EQ(interval.high, high) << n;
    EXPECT_GE(interval.coverage, 0.95) << n;
  }
}

TEST(Statistics, FewSamplesGiveTheRangeAndSayItsCoverage) {
  EXPECT_DOUBLE_EQ(median_interval(first(5)).coverage, 1 - 2.0 / 32);
  EXPECT_DOUBLE_EQ(median_interval(first(2)).coverage, 0.5);
  const Interval one = median_interval({7});
  EXPECT_EQ(one.low, 7);
  EXPECT_EQ(one.high, 7);
  EXPECT_DOUBLE_EQ(one.coverage, 0);
  for (int n = 1; n < 6; ++n) EXPECT_LT(median_interval(first(n)).coverage, 0.95) << n;
}

TEST(Statistics, IntervalOfManySamplesDoesNotUnderflow) {
  const Interval interval = median_interval(first(5000));
  // Normal approximation: 2500 -+ 1.96 * sqrt(5000) / 2 = 2430.7 .. 2569.3.
  EXPECT_NEAR(interval.low, 2431, 2);
  EXPECT_NEAR(interval.high, 2570, 2);
  EXPECT_NEAR(interval.coverage, 0.95, 0.003);
}

TEST(Statistics, IntervalCoversTheTrueMedianAsOftenAsItSays) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> skewed(0, 0.5);  // median 1
  int inside = 0;
  constexpr int kRuns = 4000;
  double coverage = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<double> values(33);
    for (double& value : values) value = skewed(random);
    std::sort(values.begin(), values.end());
    const Interval interval = median_interval(values);
    coverage = interval.coverage;
    inside += interval.low <= 1 && 1 <= interval.high;
  }
  EXPECT_NEAR(static_cast<double>(inside) / kRuns, coverage, 0.012);  // 3.5 standard deviations
}

TEST(Statistics, SummaryOfKnownValues) {
  const Summary s = summarize({9, 1, 5, 3, 7});
  EXPECT_DOUBLE_EQ(s.median, 5);
  EXPECT_DOUBLE_EQ(s.q1, 3);
  EXPECT_DOUBLE_EQ(s.q3, 7);
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.max, 9);
  EXPECT_DOUBLE_EQ(s.rel_iqr, 0.8);
  EXPECT_DOUBLE_EQ(s.rel_half_width, 0.8);
}

}  // namespace
}  // namespace ssim::bench
