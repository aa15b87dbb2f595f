// SPDX-License-Identifier: MIT
// What test_main.cpp offers to test files: tests that are registered at run time, and skips that are never silent.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace ssim::verify {

/// What main() of a test is (main.cpp); the exit status.
int run_tests(int argc, char** argv);

/// Handed to functions that register tests, after the command line was read.
class Registrar {
 public:
  /// Whether --match (if any) finds this test: ask before doing anything costly. Both "suite.name" and the same with
  /// '/' written as ':' are searched.
  bool wanted(const std::string& suite, const std::string& name) const;
  /// Adds the test if it is wanted. A suite that is filled this way must not be used by TEST() too.
  void add(const std::string& suite, const std::string& name, std::function<void()> body);
  /// The expression of --match; "" if none was given.
  const std::string& match() const;
};

/// A file-scope object of this type has its function called once before the tests run.
struct RegisterTests {
  explicit RegisterTests(void (*function)(Registrar&));
};

/// Ends the test as skipped, in words. With gpu = true and SUITE_REQUIRE_GPU=1 it fails instead. Return afterwards.
void skip(const std::string& reason, bool gpu = false);

/// Seed of all random content: SUITE_SEED, 1 without it. Printed by main.
std::uint64_t seed();

}  // namespace ssim::verify
