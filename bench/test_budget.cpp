// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "budget.hpp"

namespace ssim::bench {
namespace {

constexpr double kUnit = 196608;  // elements of weight 1

TEST(Budget, EqualFiguresShareEqually) {
  const Budget budget(60, 10, {{3, kUnit}, {3, kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, true), 10);
  EXPECT_DOUBLE_EQ(budget.cap(0, 30, true), 5);
  EXPECT_DOUBLE_EQ(budget.cap(1, 30, true), 10);
}

TEST(Budget, LargerProblemsGetMore) {
  const Budget budget(55, 100, {{1, kUnit}, {1, 16 * kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, true), 20);
  EXPECT_DOUBLE_EQ(budget.cap(1, 20, true), 35);
}

TEST(Budget, VerificationToComeIsKeptFree) {
  Budget budget(100, 100, {{1, kUnit}, {1, kUnit}, {1, kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 10, true), 30);
  budget.took_checks(0, 10);
  EXPECT_DOUBLE_EQ(budget.cap(1, 40, false), 20);  // 60 less twice 10, for two
  EXPECT_DOUBLE_EQ(budget.cap(1, 50, true), 20);
}

TEST(Budget, ATinyProblemsChecksDoNotStarveALargeOne) {
  Budget budget(28, 10, {{5, 4096}, {5, kUnit}});
  budget.took_checks(0, 0.3);  // nearly all of it first calls
  EXPECT_GT(budget.cap(0, 0.3, true), 2);
}

TEST(Budget, ChecksAreForeseenByALine) {
  Budget budget(1000, 1000, {{1, 1e6}, {1, 3e6}, {1, 100e6}});
  budget.took_checks(0, 2);
  budget.took_checks(1, 4);  // 1 s, and 1 s a million
  EXPECT_NEAR(budget.cap(2, 500, false), 500 - 101, 1e-9);
  EXPECT_NEAR(budget.cap(2, 601, true), 399, 1e-9);
}

TEST(Budget, ALineNeitherFallsNorBeginsBelowZero) {
  Budget falls(1000, 1000, {{1, 1e6}, {1, 3e6}, {1, 100e6}}), below = falls;
  falls.took_checks(0, 4);
  falls.took_checks(1, 2);
  EXPECT_NEAR(falls.cap(2, 0, false), 997, 1e-9);
  below.took_checks(0, 0);
  below.took_checks(1, 3);
  EXPECT_NEAR(below.cap(2, 0, false), 1000 - 90, 1e-9);
}

// A sweep has hundreds of small problems, whose checks are first calls and little else, before the large ones.
TEST(Budget, ChecksThatLookEndlessLeaveHalf) {
  std::vector<Budget::Part> parts;
  for (int i = 0; i < 100; ++i) parts.push_back({4, kUnit * (1 + i * i)});
  Budget budget(400, 3, parts);
  double elapsed = 0, least = 1;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const double checks = 0.3 * (i % 2);
    elapsed += checks;
    budget.took_checks(i, checks);
    const double cap = budget.cap(i, elapsed, true);
    least = std::min(least, cap);
    budget.took(4 * cap, 4 * cap);
    elapsed += 4 * cap;
  }
  EXPECT_GT(least, 0.005);
  EXPECT_LE(elapsed, 400);
  Budget endless(100, 100, {{1, kUnit}, {1, 1e9 * kUnit}});
  endless.took_checks(0, 50);
  EXPECT_DOUBLE_EQ(endless.cap(1, 60, false), 20);
}

TEST(Budget, NeverNegativeNorAboveTheLargestCap) {
  const Budget budget(10, 3, {{1, kUnit}});
  EXPECT_DOUBLE_EQ(budget.cap(0, 0, true), 3);
  EXPECT_DOUBLE_EQ(budget.cap(0, 11, true), 0);
  EXPECT_DOUBLE_EQ(budget.remaining(0, 11), 0);
  EXPECT_DOUBLE_EQ(budget.remaining(0, 0), 3);
}

// Figures that each take all of their cap end together at the budget.
TEST(Budget, ASetOfCappedRowsKeepsItsTime) {
  std::vector<Budget::Part> parts;
  for (int i = 0; i < 20; ++i) parts.push_back({5, kUnit * (1 + i)});
  const Budget budget(100, 1000, parts);
  double elapsed = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) elapsed += 5 * budget.cap(i, elapsed, true);
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
      const double cap = budget.cap(i, elapsed, true), spent = 5 * cap * used(i);
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
