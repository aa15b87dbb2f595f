// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "turns.hpp"

namespace ssim::bench {
namespace {

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() {
    for (const int end : ends) close(end);
  }
  int ends[2];  // to read from, to write to
};

TEST(Turns, NobodyGivesThem) { EXPECT_EQ(Turns().next(), 0); }

TEST(Turns, WaitsForItsTurn) {
  Pipe go, waits;
  Turns turns(go.ends[0], waits.ends[1]);
  std::string order;
  std::thread other([&] {
    char byte;
    ASSERT_EQ(read(waits.ends[0], &byte, 1), 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    order += "other ";
    ASSERT_EQ(write(go.ends[1], "g", 1), 1);
  });
  EXPECT_GE(turns.next(), 0.03);
  order += "own";
  other.join();
  EXPECT_EQ(order, "other own");
}

TEST(Turns, GoesOnWhenNobodyGivesThemAnyMore) {
  int go[2], waits[2];
  ASSERT_EQ(pipe(go), 0);
  ASSERT_EQ(pipe(waits), 0);
  Turns turns(go[0], waits[1]);
  close(go[1]);
  turns.next();
  close(waits[0]);
  turns.next();  // and a broken pipe is no signal
  Turns late(go[0], waits[1]);
  late.next();
  close(go[0]);
  close(waits[1]);
}

}  // namespace
}  // namespace ssim::bench
