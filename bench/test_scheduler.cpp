// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "scheduler.hpp"

namespace ssim::bench {
namespace {

// A row that takes `seconds` a call of a clock that only it moves.
class Fake final : public Sampler {
 public:
  Fake(double* now, double seconds, double noise = 0) : now_(now), seconds_(seconds), noise_(noise) {}
  void warm_up() override {
    *now_ += seconds_;
    ++warm_ups;
  }
  Sample sample() override {
    if (fail_after >= 0 && taken >= fail_after) throw std::runtime_error("launch failed");
    ++taken;
    std::uniform_real_distribution<double> spread(1 - noise_, 1 + noise_);
    const double seconds = seconds_ * spread(random_);
    *now_ += seconds;
    return {.seconds = seconds, .sm_mhz = 1980, .discarded = discard_every > 0 && taken % discard_every == 0};
  }
  int warm_ups = 0, taken = 0, fail_after = -1, discard_every = 0;

 private:
  double* now_;
  double seconds_, noise_;
  std::mt19937_64 random_{5};
};

struct Bench {
  double now = 0;
  std::vector<std::pair<std::size_t, Turn>> turns;
  std::vector<std::size_t> done;
  int stop_after_turns = -1;
  SchedulerHooks hooks() {
    return {.now = [this] { return now; },
            .stop_requested =
                [this] { return stop_after_turns >= 0 && static_cast<int>(turns.size()) >= stop_after_turns; },
            .on_turn = [this](std::size_t i, const Turn& turn) { turns.emplace_back(i, turn); },
            .on_done = [this](std::size_t i) { done.push_back(i); }};
  }
};

Entry entry(Sampler* sampler, double cap = 10) {
  Entry e;
  e.sampler = sampler;
  e.rule.cap_seconds = cap;
  return e;
}

TEST(Scheduler, EveryEntryHasOneTurnARoundAndTheOrderVaries) {
  Bench bench;
  Fake a(&bench.now, 1e-3, 0.2), b(&bench.now, 2e-3, 0.2), c(&bench.now, 3e-3, 0.2);
  std::vector<Entry> entries = {entry(&a), entry(&b), entry(&c)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  std::map<int, std::vector<std::size_t>> rounds;
  for (const auto& [i, turn] : bench.turns) rounds[turn.round].push_back(i);
  std::set<std::vector<std::size_t>> orders;
  for (const auto& [round, order] : rounds) {
    EXPECT_EQ(std::set<std::size_t>(order.begin(), order.end()).size(), order.size()) << round;
    if (order.size() == 3) orders.insert(order);
  }
  EXPECT_GT(orders.size(), 3u);
  EXPECT_EQ(bench.done.size(), 3u);
  for (const Entry& e : entries) EXPECT_EQ(e.decision, Decision::converged);
}

TEST(Scheduler, GivesWayAfterEveryTurnWhenAllOfItIsDone) {
  Bench bench;
  Fake quick(&bench.now, 1e-4), slow(&bench.now, 1e-2);
  std::vector<Entry> entries{entry(&quick), entry(&slow)};
  SchedulerHooks hooks = bench.hooks();
  std::vector<std::pair<std::size_t, std::size_t>> seen;  // turns and entries that had ended
  hooks.give_way = [&] { seen.emplace_back(bench.turns.size(), bench.done.size()); };
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, hooks));
  ASSERT_EQ(seen.size(), bench.turns.size());
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].first, i + 1);
  EXPECT_EQ(seen.back().second, 2u);
}

TEST(Scheduler, TheSeedMeansOneOrder) {
  const auto order = [](std::uint64_t seed) {
    Bench bench;
    Fake a(&bench.now, 1e-3), b(&bench.now, 1e-3), c(&bench.now, 1e-3), d(&bench.now, 1e-3);
    std::vector<Entry> entries = {entry(&a), entry(&b), entry(&c), entry(&d)};
    run_rounds(entries, TurnRule{}, seed, bench.hooks());
    std::vector<std::size_t> result;
    for (const auto& [i, turn] : bench.turns) result.push_back(i);
    return result;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(Scheduler, TurnsAreShortAndLongCallsAreOneATurn) {
  Bench bench;
  Fake fast(&bench.now, 1e-5), medium(&bench.now, 6e-3), slow(&bench.now, 0.3);
  std::vector<Entry> entries = {entry(&fast), entry(&medium), entry(&slow, 30)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  for (const auto& [i, turn] : bench.turns) {
    EXPECT_EQ(turn.seconds.size(), i == 0 ? 16u : i == 1 ? 4u : 1u);
    EXPECT_DOUBLE_EQ(turn.sm_mhz, 1980);
  }
}

TEST(Scheduler, TheCapHoldsAndIsSaid) {
  Bench bench;
  Fake noisy(&bench.now, 0.1, 0.5);
  std::vector<Entry> entries = {entry(&noisy, 2)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(entries[0].decision, Decision::capped);
  EXPECT_GE(entries[0].spent, 2);
  EXPECT_LT(entries[0].spent, 2.35);  // by one call and its warm-up at most
  EXPECT_FALSE(entries[0].samples.empty());
}

TEST(Scheduler, AnErrorEndsOneEntryAlone) {
  Bench bench;
  Fake good(&bench.now, 1e-3), bad(&bench.now, 1e-3);
  bad.fail_after = 5;
  std::vector<Entry> entries = {entry(&good), entry(&bad)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(entries[0].decision, Decision::converged);
  EXPECT_EQ(entries[1].error, "launch failed");
  EXPECT_EQ(bench.done.size(), 2u);
}

TEST(Scheduler, DiscardedSamplesAreCountedAndNotUsed) {
  Bench bench;
  Fake throttled(&bench.now, 1e-3);
  throttled.discard_every = 3;
  std::vector<Entry> entries = {entry(&throttled)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(entries[0].discarded, throttled.taken / 3);
  EXPECT_EQ(entries[0].samples.size() + static_cast<std::size_t>(entries[0].discarded),
            static_cast<std::size_t>(throttled.taken));
}

TEST(Scheduler, AClockThatStaysThrottledEndsAtTheCap) {
  Bench bench;
  Fake throttled(&bench.now, 1e-3);
  throttled.discard_every = 1;
  std::vector<Entry> entries = {entry(&throttled, 0.5)};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(entries[0].decision, Decision::capped);
  EXPECT_TRUE(entries[0].samples.empty());
}

TEST(Scheduler, AStopKeepsWhatWasTakenAndFinishesNothing) {
  Bench bench;
  bench.stop_after_turns = 3;
  Fake a(&bench.now, 1e-3), b(&bench.now, 1e-3);
  std::vector<Entry> entries = {entry(&a), entry(&b)};
  EXPECT_FALSE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(bench.turns.size(), 3u);
  EXPECT_TRUE(bench.done.empty());
}

TEST(Scheduler, EarlierSamplesCount) {
  Bench bench;
  Fake a(&bench.now, 1e-3);
  Entry resumed = entry(&a);
  resumed.samples.assign(28, 1e-3);
  resumed.rounds = 7;
  std::vector<Entry> entries = {resumed};
  ASSERT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(bench.turns.size(), 1u);
  EXPECT_EQ(entries[0].samples.size(), 28u + bench.turns[0].second.seconds.size());
}

TEST(Scheduler, AFinishedEntryIsLeftAlone) {
  Bench bench;
  Fake a(&bench.now, 1e-3);
  Entry finished = entry(&a);
  finished.error = "skipped";
  std::vector<Entry> entries = {finished};
  EXPECT_TRUE(run_rounds(entries, TurnRule{}, 1, bench.hooks()));
  EXPECT_EQ(a.taken, 0);
  EXPECT_TRUE(bench.done.empty());
}

}  // namespace
}  // namespace ssim::bench
