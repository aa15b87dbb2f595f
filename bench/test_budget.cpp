// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "budget.hpp"

namespace ssim::bench {
namespace {

constexpr double kUnit = 196608;  // elements of weight 1

TEST(Budget, EqualFiguresShareEqually) {
  const Budget budget(60, 10, {{3, kUnit}, {3, kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, 0, true), 10);
  EXPECT_DOUBLE_EQ(budget.cap(0, 30, 0, true), 5);
  EXPECT_DOUBLE_EQ(budget.cap(1, 30, 0, true), 10);
}

TEST(Budget, LargerProblemsGetMore) {
  const Budget budget(50, 100, {{1, kUnit}, {1, 16 * kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, 0, true), 10);
  EXPECT_DOUBLE_EQ(budget.cap(1, 10, 0, true), 40);
}

TEST(Budget, VerificationToComeIsKeptFree) {
  const Budget budget(100, 100, {{1, kUnit}, {1, kUnit}});
  const double ten_seconds_each = 10 / Budget::check_weight(kUnit);
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, ten_seconds_each, false), 40);
  EXPECT_DOUBLE_EQ(budget.cap(0, 10, ten_seconds_each, true), 40);
}

TEST(Budget, ATinyProblemsChecksDoNotStarveALargeOne) {
  const Budget budget(28, 10, {{5, 4096}, {5, kUnit}});
  const double rate = 0.3 / Budget::check_weight(4096);  // 0.3 s, nearly all of it first calls
  EXPECT_GT(budget.cap(0, 0.3, rate, true), 2);
}

TEST(Budget, NeverNegativeNorAboveTheLargestCap) {
  const Budget budget(10, 3, {{1, kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, 0, true), 3);
  EXPECT_DOUBLE_EQ(budget.cap(0, 11, 0, true), 0);
  EXPECT_DOUBLE_EQ(budget.remaining(0, 11), 0);
  EXPECT_DOUBLE_EQ(budget.remaining(0, 0), 3);
}

// Figures that each take all of their cap end together at the budget.
TEST(Budget, ASetOfCappedRowsKeepsItsTime) {
  std::vector<Budget::Part> parts;
  for (int i = 0; i < 20; ++i) parts.push_back({5, kUnit * (1 + i)});
  const Budget budget(100, 1000, parts);
  double elapsed = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) elapsed += 5 * budget.cap(i, elapsed, 0, true);
  EXPECT_NEAR(elapsed, 100, 1e-9);
}

// Where most converge early the time is used all the same, and not exceeded where later ones do not.
TEST(Budget, WhatEarlyRowsLeaveIsPromisedBeforehand) {
  std::vector<Budget::Part> parts;
  for (int i = 0; i < 20; ++i) parts.push_back({5, kUnit * (1 + i)});
  const auto spend = [&](auto used) {
    Budget budget(100, 1000, parts);
    double elapsed = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const double cap = budget.cap(i, elapsed, 0, true), spent = 5 * cap * used(i);
      budget.took(5 * cap, spent);
      elapsed += spent;
    }
    return elapsed;
  };
  EXPECT_GT(spend([](std::size_t) { return 0.4; }), 85);
  EXPECT_LE(spend([](std::size_t) { return 0.4; }), 100);
  EXPECT_LE(spend([](std::size_t i) { return i < 10 ? 0.2 : 1.0; }), 100 + 1e-9);
}

}  // namespace
}  // namespace ssim::bench
