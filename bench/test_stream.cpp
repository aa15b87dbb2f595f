// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "stream.hpp"

namespace ssim::bench {
namespace {

const Key kKey{"stream", Device::cpu, Mode::train, Padding::valid, {1, 3, 256, 256}, Clock::wall};
const std::string kText = "cpu:stream:train:valid:1x3x256x256:wall";

Json keyed(const char* type, const Key& key = kKey) {
  Json record;
  record["type"] = type;
  key.write(record);
  return record;
}

Json run_record(int process, const std::string& settings = "best") {
  return {{"type", "run"},      {"schema", 1},
          {"process", process}, {"settings", settings},
          {"set", "smoke"},     {"environment", {{"device", "cpu"}, {"commit", "abc"}, {"threads", 2}}}};
}

Json samples_record(int process, int round, std::vector<double> seconds) {
  Json record = keyed("samples");
  record["process"] = process;
  record["round"] = round;
  record["seconds"] = std::move(seconds);
  record["discarded"] = 1;
  record["spent_s"] = 0.5;
  return record;
}

Json row_record(const Json& error = Json()) {
  Json record = keyed("row");
  record["settings"] = "best";
  record["error"] = error;
  return record;
}

class Stream : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/ssim-stream-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/results.jsonl";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::vector<Json>& records, const std::string& tail = "") {
    std::ofstream file(path_);
    for (const Json& record : records) file << record.dump() << "\n";
    file << tail;
  }
  std::string content() {
    std::ifstream file(path_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string misuse() {
    try {
      read_progress(path_, "best");
    } catch (const FileMisuse& error) {
      return error.what();
    }
    return "";
  }
  std::string folder_, path_;
};

TEST_F(Stream, KeysSurviveTheirRecord) {
  EXPECT_EQ(kKey.text(), kText);
  EXPECT_EQ(key_text(keyed("row")), kText);
}

TEST_F(Stream, AnAbsentFileIsAnEmptyOne) {
  const Progress progress = read_progress(path_, "best");
  EXPECT_EQ(progress.last_process, 0);
  EXPECT_TRUE(progress.run.is_null());
  EXPECT_EQ(progress.valid_bytes, 0);
}

TEST_F(Stream, SamplesOfUnfinishedRowsAreKept) {
  write({run_record(1), samples_record(1, 0, {1, 2}), samples_record(1, 1, {3})});
  const Progress progress = read_progress(path_, "best");
  ASSERT_EQ(progress.unfinished.count(kText), 1u);
  const Earlier& earlier = progress.unfinished.at(kText);
  EXPECT_EQ(earlier.samples, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(earlier.rounds, 2);
  EXPECT_EQ(earlier.discarded, 2);
  EXPECT_DOUBLE_EQ(earlier.spent, 1.0);
  EXPECT_EQ(progress.last_process, 1);
  EXPECT_TRUE(progress.finished.empty());
}

TEST_F(Stream, FinishedAndSkippedRowsAreNotMeasuredAgain) {
  Key other = kKey;
  other.name = "naive";
  Json skipped = keyed("skipped", other);
  skipped["settings"] = "best";
  skipped["reason"] = "too slow";
  write({run_record(1), samples_record(1, 0, {1, 2}), row_record(), skipped});
  const Progress progress = read_progress(path_, "best");
  EXPECT_EQ(progress.finished, (std::set<std::string>{kText, other.text()}));
  EXPECT_TRUE(progress.unfinished.empty());
  EXPECT_TRUE(progress.wrong.empty());
}

TEST_F(Stream, AWrongRowStaysWrong) {
  write({run_record(1), row_record("gradient is off")});
  EXPECT_EQ(read_progress(path_, "best").wrong.count(kText), 1u);
}

TEST_F(Stream, TheOtherPassInOneFileIsAnother) {
  write({run_record(1), samples_record(1, 0, {1, 2}), row_record(), run_record(2, "stock"), samples_record(2, 0, {5})});
  const Progress best = read_progress(path_, "best"), stock = read_progress(path_, "stock");
  EXPECT_EQ(best.finished.size(), 1u);
  EXPECT_TRUE(stock.finished.empty());
  EXPECT_EQ(stock.unfinished.at(kText).samples, std::vector<double>{5});
  EXPECT_EQ(best.last_process, 2);
  EXPECT_EQ(best.run.at("process"), 2);
}

TEST_F(Stream, AnUnfinishedLastLineIsCutOff) {
  write({run_record(1), samples_record(1, 0, {1, 2})}, R"({"type":"samples","name":"str)");
  const std::string whole = content().substr(0, content().rfind('\n') + 1);
  const Progress progress = read_progress(path_, "best");
  EXPECT_EQ(progress.valid_bytes, static_cast<std::int64_t>(whole.size()));
  ResultFile file;
  file.open(path_, progress.valid_bytes);
  file.write({{"type", "end"}});
  EXPECT_EQ(content(), whole + "{\"type\":\"end\"}\n");
}

TEST_F(Stream, DamageElsewhereIsRefusedWithItsLine) {
  write({run_record(1)}, "{\"type\":\"samp\n" + row_record().dump() + "\n");
  EXPECT_NE(misuse().find("damaged in line 2"), std::string::npos) << misuse();
  write({row_record()});
  EXPECT_NE(misuse().find("must begin with a run record"), std::string::npos) << misuse();
  write({run_record(1), {{"type", "poem"}}});
  EXPECT_NE(misuse().find("unknown record type 'poem'"), std::string::npos) << misuse();
  Json keyless = row_record();
  keyless.erase("width");
  write({run_record(1), keyless});
  EXPECT_NE(misuse().find("damaged in line 2"), std::string::npos) << misuse();
  Json newer = run_record(1);
  newer["schema"] = 2;
  write({newer});
  EXPECT_NE(misuse().find("schema"), std::string::npos) << misuse();
  write({run_record(1), samples_record(9, 0, {1})});
  EXPECT_NE(misuse().find("process without a run record"), std::string::npos) << misuse();
}

TEST_F(Stream, AnotherRunIsRefusedNamingWhatDiffers) {
  const Json present = run_record(2);
  EXPECT_NO_THROW(require_same_run(path_, run_record(1), present));
  Json earlier = run_record(1);
  earlier["environment"]["commit"] = "def";
  try {
    require_same_run(path_, earlier, present);
    FAIL();
  } catch (const FileMisuse& error) {
    EXPECT_NE(std::string(error.what()).find(R"(commit was "def" and is "abc")"), std::string::npos) << error.what();
  }
  earlier = run_record(1);
  earlier["set"] = "claim";
  EXPECT_THROW(require_same_run(path_, earlier, present), FileMisuse);
  earlier = run_record(1);
  earlier["environment"]["threads"] = 1;
  EXPECT_THROW(require_same_run(path_, earlier, present), FileMisuse);
}

TEST_F(Stream, AFolderOrADeviceIsNoResultFile) {
  EXPECT_THROW(read_progress(folder_, "best"), FileMisuse);
  EXPECT_EQ(read_progress("/dev/null", "best").last_process, 0);
}

TEST_F(Stream, UnwritableIsMisuse) {
  ResultFile file;
  EXPECT_THROW(file.open(folder_ + "/absent/results.jsonl", 0), FileMisuse);
}

TEST_F(Stream, AFullDiskIsSaid) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  ResultFile file;
  file.open("/dev/full", 1 << 20);
  try {
    file.write({{"type", "end"}});
    FAIL();
  } catch (const WriteFailure& error) {
    EXPECT_NE(std::string(error.what()).find("No space left"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ssim::bench
