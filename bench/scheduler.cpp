// SPDX-License-Identifier: MIT
#include "scheduler.hpp"

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

namespace ssim::bench {
namespace {

// A clock that stays throttled must not hold up a turn.
constexpr int kMaxDiscards = 32;

Turn take_turn(Entry& entry, int round, const TurnRule& rule, const SchedulerHooks& hooks) {
  Turn turn{.round = round, .seconds = {}};
  const double begin = hooks.now();
  double mhz_sum = 0;
  int mhz_count = 0;
  try {
    entry.sampler->warm_up();
    const double sampling = hooks.now();
    for (;;) {
      if (hooks.stop_requested()) break;
      const Sample sample = entry.sampler->sample();
      if (sample.sm_mhz > 0) {
        mhz_sum += sample.sm_mhz;
        ++mhz_count;
      }
      if (sample.discarded) {
        ++turn.discarded;
      } else {
        turn.seconds.push_back(sample.seconds);
      }
      const double now = hooks.now();
      const int taken = static_cast<int>(turn.seconds.size());
      if (entry.spent + (now - begin) >= entry.rule.cap_seconds) break;
      if (taken >= rule.max_samples || turn.discarded >= kMaxDiscards) break;
      if (now - sampling >= rule.seconds && (taken >= rule.min_samples || now - sampling >= 2.5 * rule.seconds)) break;
    }
  } catch (const std::exception& error) {
    entry.error = error.what();
  }
  turn.spent = hooks.now() - begin;
  if (mhz_count > 0) turn.sm_mhz = mhz_sum / mhz_count;
  return turn;
}

}  // namespace

bool run_rounds(std::vector<Entry>& entries, const TurnRule& turn_rule, std::uint64_t seed,
                const SchedulerHooks& hooks) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> active;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].done()) active.push_back(i);
  }
  for (int round = 0; !active.empty(); ++round) {
    // Fisher-Yates by hand: std::shuffle may differ between libraries, and a seed should mean one order.
    for (std::size_t i = active.size(); i > 1; --i) std::swap(active[i - 1], active[random() % i]);
    for (const std::size_t index : active) {
      if (hooks.stop_requested()) return false;
      Entry& entry = entries[index];
      const Turn turn = take_turn(entry, round, turn_rule, hooks);
      entry.spent += turn.spent;
      entry.discarded += turn.discarded;
      if (turn.sm_mhz > 0) entry.sm_mhz = turn.sm_mhz;
      if (!turn.seconds.empty()) {
        ++entry.rounds;
        entry.medians.push_back(median(turn.seconds));
      }
      entry.samples.insert(entry.samples.end(), turn.seconds.begin(), turn.seconds.end());
      if (!turn.seconds.empty() || turn.discarded > 0) hooks.on_turn(index, turn);
      if (entry.error.empty()) entry.decision = decide(entry.rule, entry.samples, entry.rounds, entry.spent);
      if (entry.done()) hooks.on_done(index);
      if (hooks.give_way) hooks.give_way();
    }
    std::erase_if(active, [&](std::size_t i) { return entries[i].done(); });
    if (hooks.stop_requested() && !active.empty()) return false;
  }
  return true;
}

}  // namespace ssim::bench
