// SPDX-License-Identifier: MIT
// What happens to rows that misbehave: a wrong one gets no time, a slow one is skipped with its time, and so on. The
// rows here are made up around `reference`; nothing else of the chain is.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "kernels/registry.hpp"
#include "session.hpp"

namespace ssim::bench {
namespace {

using Call = std::function<Status(const Problem&, const Arguments&)>;

// `reference` under another name, with `value` put around its own.
Implementation made_up(const char* name, const std::function<Call(Call)>& around) {
  Implementation row = *find_row(Device::cpu, "reference");
  row.name = name;
  row.value = around(row.value);
  return row;
}

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/ssim-session-XXXXXX";
    const int descriptor = mkstemp(pattern);
    ASSERT_GE(descriptor, 0);
    close(descriptor);
    path_ = pattern;
  }
  void TearDown() override { unlink(path_.c_str()); }

  // Measures the rows on one small problem; results by row name.
  std::map<std::string, Result> measure(const std::vector<Implementation>& rows, double seconds = 5,
                                        Mode mode = Mode::infer) {
    Session::Setup setup;
    setup.spin_key = spin_key_;
    setup.spin_fraction = spin_fraction_;
    setup.set.device = Device::cpu;
    setup.set.rule.half_width = 0.5;
    setup.set.rule.cap_seconds = 1;
    setup.seconds = seconds;
    setup.stop_requested = [this] { return stop_; };
    Group group{{1, 1, 16, 16}, Padding::valid, mode, {}};
    for (const Implementation& row : rows) group.items.push_back({&row, {Clock::wall}});
    ResultFile file;
    file.open(path_, 0);
    Session session(setup, {group}, nullptr, file, {});
    std::map<std::string, Result> by_name;
    const auto results = session.measure(0);
    for (const Implementation& row : rows) {
      const auto found = results.find(Key{row.name, Device::cpu, Mode::infer, Padding::valid, group.shape}.text());
      if (found != results.end()) by_name[row.name] = found->second;
    }
    wrong_ = session.wrong();
    return by_name;
  }

  std::vector<Json> records(const std::string& type) {
    std::ifstream file(path_);
    std::vector<Json> result;
    for (std::string line; std::getline(file, line);) {
      const Json record = Json::parse(line);
      if (record.at("type") == type) result.push_back(record);
    }
    return result;
  }

  std::string path_, spin_key_;
  double spin_fraction_ = 0;
  bool stop_ = false;
  int wrong_ = 0;
};

TEST_F(SessionTest, AWrongRowGetsNoTime) {
  const auto wrong = made_up("wrong", [](Call call) {
    return [call](const Problem& p, const Arguments& a) {
      const Status status = call(p, a);
      *a.mean += 1e-3;
      return status;
    };
  });
  const auto right = made_up("right", [](Call call) { return call; });
  const auto results = measure({wrong, right});
  EXPECT_EQ(results.at("wrong").kind, Result::Kind::wrong);
  EXPECT_EQ(results.at("right").kind, Result::Kind::measured);
  EXPECT_EQ(wrong_, 1);
  for (const Json& record : records("samples")) EXPECT_EQ(record.at("name"), "right");
  bool seen = false;
  for (const Json& record : records("row")) {
    if (record.at("name") != "wrong") continue;
    seen = true;
    EXPECT_TRUE(record.at("seconds").is_null());
    EXPECT_TRUE(record.at("ci_low").is_null());
    EXPECT_FALSE(record.at("verified").get<bool>());
    EXPECT_NE(record.at("error").get<std::string>().find("mean"), std::string::npos);
  }
  EXPECT_TRUE(seen);
}

TEST_F(SessionTest, ARowThatGoesWrongWhileItIsTimedIsFound) {
  const auto calls = std::make_shared<int>(0);
  const auto later = made_up("later", [calls](Call call) {
    return [call, calls](const Problem& p, const Arguments& a) {
      const Status status = call(p, a);
      if (++*calls > 50) *a.mean += 1e-3;
      return status;
    };
  });
  const auto results = measure({later});
  EXPECT_EQ(results.at("later").kind, Result::Kind::wrong);
  EXPECT_NE(results.at("later").text.find("after timing its mean is"), std::string::npos) << results.at("later").text;
  ASSERT_EQ(records("row").size(), 1u);
  EXPECT_TRUE(records("row")[0].at("seconds").is_null());
}

TEST_F(SessionTest, ARowThatFailsWhileItIsTimedIsAnError) {
  const auto calls = std::make_shared<int>(0);
  const auto failing = made_up("failing", [calls](Call call) {
    return [call, calls](const Problem& p, const Arguments& a) {
      return ++*calls > 50 ? Status::error(Status::Code::device_error, "it broke") : call(p, a);
    };
  });
  const auto results = measure({failing});
  EXPECT_EQ(results.at("failing").kind, Result::Kind::wrong);
  EXPECT_EQ(results.at("failing").text, "it broke");
  EXPECT_EQ(wrong_, 1);
}

TEST_F(SessionTest, WhatARowDoesNotSupportIsSkippedWithItsReason) {
  Implementation unsupported = made_up("unsupported", [](Call call) { return call; });
  unsupported.supports = [](const Problem&, Mode) -> std::string { return "not on a Monday"; };
  const auto results = measure({unsupported});
  EXPECT_EQ(results.at("unsupported").kind, Result::Kind::skipped);
  EXPECT_EQ(wrong_, 0);
  ASSERT_EQ(records("skipped").size(), 1u);
  EXPECT_EQ(records("skipped")[0].at("reason"), "not on a Monday");
  EXPECT_TRUE(records("row").empty());
}

TEST_F(SessionTest, ARowTooSlowForItsTimeIsSkippedByAMeasuredCall) {
  const auto slow = made_up("slow", [](Call call) {
    return [call](const Problem& p, const Arguments& a) {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return call(p, a);
    };
  });
  const auto results = measure({slow}, 0.5);
  EXPECT_EQ(results.at("slow").kind, Result::Kind::skipped);
  EXPECT_NE(results.at("slow").text.find("too slow: one call takes 0.2"), std::string::npos) << results.at("slow").text;
  EXPECT_TRUE(records("row").empty());
}

TEST_F(SessionTest, OutOfMemoryIsASkipAndNotAWrongResult) {
  const auto large = made_up("large", [](Call) {
    return [](const Problem&, const Arguments&) {
      return Status::error(Status::Code::device_error, "CUDA out of memory. Tried to allocate 90 GiB");
    };
  });
  const auto results = measure({large});
  EXPECT_EQ(results.at("large").kind, Result::Kind::skipped);
  EXPECT_NE(results.at("large").text.find("too large"), std::string::npos);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(SessionTest, AStopFinishesNothing) {
  stop_ = true;
  const auto results = measure({made_up("right", [](Call call) { return call; })});
  EXPECT_TRUE(results.empty());
  EXPECT_TRUE(records("row").empty());
}

TEST_F(SessionTest, APlantedSlowDownTakesItsTimeInItsRowAlone) {
  const auto two_ms = [](Call call) {
    return [call](const Problem& p, const Arguments& a) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      return call(p, a);
    };
  };
  spin_key_ = "cpu:slowed:infer:valid:1x1x16x16:wall";
  spin_fraction_ = 1;
  const auto results = measure({made_up("slowed", two_ms), made_up("plain", two_ms)});
  EXPECT_GT(results.at("slowed").summary.median, 1.6 * results.at("plain").summary.median);
  for (const Json& record : records("row")) {
    EXPECT_EQ(record.contains("spin"), record.at("name") == "slowed");
  }
}

TEST_F(SessionTest, ResultsAreKeptBitForBit) {
  const auto row = [](const char* name, float change) {
    Implementation made = made_up(name, [](Call call) { return call; });
    const auto original = made.value_and_grad;
    made.value_and_grad = [original, change](const Problem& p, const Arguments& a) {
      const Status status = original(p, a);
      a.grad_x[100] *= 1 + change;
      return status;
    };
    return made;
  };
  measure({row("a", 0), row("b", 0), row("c", 1e-6f)}, 5, Mode::train);
  std::map<std::string, Json> result;
  for (const Json& record : records("row")) result[record.at("name")] = record.at("result");
  EXPECT_EQ(result.at("a"), result.at("b"));
  EXPECT_EQ(result.at("a").at("mean_bits"), result.at("c").at("mean_bits"));
  EXPECT_NE(result.at("a").at("gradient_bits"), result.at("c").at("gradient_bits"));
  EXPECT_EQ(result.at("a").at("gradient_probes").size(), 64u);
  EXPECT_EQ(result.at("a").at("mean_bits").get<std::string>().size(), 16u);
}

TEST_F(SessionTest, MemoryOfAKernelIsItsWorkspace) {
  const Implementation row = made_up("row", [](Call call) { return call; });
  measure({row}, 5, Mode::train);
  const Problem problem = Group{{1, 1, 16, 16}, Padding::valid, Mode::train, {}}.problem();
  ASSERT_EQ(records("row").size(), 1u);
  const Json memory = records("row")[0].at("memory");
  EXPECT_EQ(memory.at("peak_bytes"), row.workspace_bytes(problem, Mode::train));
  EXPECT_TRUE(memory.at("kept_bytes").is_null());  // forward and backward are one call
}

TEST_F(SessionTest, RoundsAreSharedByTheRowsOfAProblem) {
  const auto a = made_up("a", [](Call call) { return call; });
  const auto b = made_up("b", [](Call call) { return call; });
  measure({a, b});
  std::map<std::string, std::set<int>> rounds;
  for (const Json& record : records("samples")) {
    EXPECT_TRUE(rounds[record.at("name")].insert(record.at("round").get<int>()).second);
  }
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(rounds["a"].count(round), 1u);
    EXPECT_EQ(rounds["b"].count(round), 1u);
  }
}

}  // namespace
}  // namespace ssim::bench
