// SPDX-License-Identifier: MIT
// What main() of every C++ test (main.cpp) does: GoogleTest, and
//   --match REGEX   tests whose full name ("suite.name", or the same with ':' for '/') the ECMAScript expression finds
//   --list          print their names and run nothing
// Row tests have ':' in their names, which --gtest_filter cannot express; --match can.
// Exit status: 0 good, 1 a failure (or nothing ran), 2 misuse (bad expression, or one that matches nothing), 77 all
// skipped. Environment: SUITE_REQUIRE_GPU=1 turns skips for want of a GPU into failures; SUITE_SEED=N.
#include "test_main.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <regex>
#include <set>
#include <vector>

namespace ssim::verify {
namespace {

struct Frame {
  std::string match;
  std::unique_ptr<std::regex> expression;
  std::set<std::string> dynamic_suites;
  std::vector<std::string> dynamic_names;
};

Frame& frame() {
  static Frame instance;
  return instance;
}

std::vector<void (*)(Registrar&)>& registering() {
  static std::vector<void (*)(Registrar&)> functions;
  return functions;
}

bool matches(const std::string& full_name) {
  if (!frame().expression) return true;
  if (std::regex_search(full_name, *frame().expression)) return true;
  std::string with_colons = full_name;
  std::replace(with_colons.begin(), with_colons.end(), '/', ':');
  return std::regex_search(with_colons, *frame().expression);
}

class DynamicTest : public testing::Test {
 public:
  explicit DynamicTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

// What of the tests written with TEST() matches, as a GoogleTest filter; '?' stands for characters that it reserves.
std::string static_filter(int* count) {
  std::string filter;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *all.GetTestSuite(s);
    if (frame().dynamic_suites.count(suite.name())) continue;
    for (int t = 0; t < suite.total_test_count(); ++t) {
      std::string name = std::string(suite.name()) + "." + suite.GetTestInfo(t)->name();
      if (!matches(name)) continue;
      ++*count;
      for (char& c : name) c = c == ':' || c == '-' || c == '*' ? '?' : c;
      filter += (filter.empty() ? "" : ":") + name;
    }
  }
  return filter;
}

// Removes "--name value" or "--name=value" from the command line; false if the value is missing.
bool take_option(int* argc, char** argv, const char* name, bool* given, std::string* value) {
  const std::size_t length = std::strlen(name);
  for (int i = 1; i < *argc; ++i) {
    if (std::strncmp(argv[i], name, length) != 0) continue;
    int used = 1;
    if (argv[i][length] == '=') {
      if (value) *value = argv[i] + length + 1;
    } else if (argv[i][length] == '\0') {
      if (value) {
        if (i + 1 >= *argc) return false;
        *value = argv[i + 1];
        used = 2;
      }
    } else {
      continue;
    }
    *given = true;
    std::move(argv + i + used, argv + *argc, argv + i);
    *argc -= used;
    --i;
  }
  return true;
}

}  // namespace

int run_tests(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  Frame& f = frame();
  bool has_match = false, list = false;
  if (!take_option(&argc, argv, "--match", &has_match, &f.match) ||
      !take_option(&argc, argv, "--list", &list, nullptr)) {
    std::fprintf(stderr, "%s: --match needs an expression\n", argv[0]);
    return 2;
  }
  if (argc > 1) {
    std::fprintf(stderr, "%s: unknown argument %s; known are --match REGEX, --list and GoogleTest's flags\n", argv[0],
                 argv[1]);
    return 2;
  }
  if (has_match) {
    try {
      f.expression = std::make_unique<std::regex>(f.match);
    } catch (const std::regex_error& error) {
      std::fprintf(stderr, "%s: --match '%s' is not a regular expression: %s\n", argv[0], f.match.c_str(),
                   error.what());
      return 2;
    }
  }
  Registrar registrar;
  for (const auto function : registering()) function(registrar);

  int matched = static_cast<int>(f.dynamic_names.size());
  std::string filter = static_filter(&matched);
  if (has_match && matched == 0) {
    std::fprintf(stderr, "%s: --match '%s' finds no test; --list prints all names\n", argv[0], f.match.c_str());
    return 2;
  }
  if (list) {
    for (const std::string& name : f.dynamic_names) std::puts(name.c_str());
    const testing::UnitTest& all = *testing::UnitTest::GetInstance();
    for (int s = 0; s < all.total_test_suite_count(); ++s) {
      const testing::TestSuite& suite = *all.GetTestSuite(s);
      if (f.dynamic_suites.count(suite.name())) continue;
      for (int t = 0; t < suite.total_test_count(); ++t) {
        const std::string name = std::string(suite.name()) + "." + suite.GetTestInfo(t)->name();
        if (matches(name)) std::puts(name.c_str());
      }
    }
    return 0;
  }
  if (has_match) {
    for (const std::string& suite : f.dynamic_suites) filter += (filter.empty() ? "" : ":") + suite + ".*";
    testing::GTEST_FLAG(filter) = filter;
  }
  std::printf("seed %llu (SUITE_SEED)\n", static_cast<unsigned long long>(seed()));
  const int status = RUN_ALL_TESTS();
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  if (status != 0) return 1;
  const int ran = all.successful_test_count() + all.failed_test_count();
  if (ran == 0 && all.skipped_test_count() > 0) return 77;
  if (ran == 0) {
    std::fprintf(stderr, "%s: no test ran\n", argv[0]);
    return 1;
  }
  return 0;
}

bool Registrar::wanted(const std::string& suite, const std::string& name) const { return matches(suite + "." + name); }

const std::string& Registrar::match() const { return frame().match; }

void Registrar::add(const std::string& suite, const std::string& name, std::function<void()> body) {
  if (!wanted(suite, name)) return;
  frame().dynamic_suites.insert(suite);
  frame().dynamic_names.push_back(suite + "." + name);
  testing::RegisterTest(suite.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body = std::move(body)]() -> testing::Test* { return new DynamicTest(body); });
}

RegisterTests::RegisterTests(void (*function)(Registrar&)) { registering().push_back(function); }

void skip(const std::string& reason, bool gpu) {
  const char* require = std::getenv("SUITE_REQUIRE_GPU");
  if (gpu && require && *require && std::strcmp(require, "0") != 0) {
    ADD_FAILURE() << "SUITE_REQUIRE_GPU=1, but " << reason;
  } else {
    GTEST_SKIP() << reason;
  }
}

std::uint64_t seed() {
  const char* text = std::getenv("SUITE_SEED");
  if (!text || !*text) return 1;
  std::uint64_t value = 0;
  const char* const end = text + std::strlen(text);
  if (const auto [at, error] = std::from_chars(text, end, value); error != std::errc() || at != end) {
    std::fprintf(stderr, "SUITE_SEED = %s must be a number from 0 to 2^64 - 1\n", text);
    std::exit(2);
  }
  return value;
}

}  // namespace ssim::verify
