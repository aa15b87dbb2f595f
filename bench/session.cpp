// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <exception>
#include <utility>

#include "baselines/all_rows.hpp"
#include "baselines/graph_memory.hpp"
#include "cpu_timer.hpp"
#include "kernels/production.hpp"
#include "nvtx.hpp"

namespace ssim::bench {
namespace {

// A slow row gets up to this many calls beyond its cap, out of what quick rows leave, but at most so many caps. The
// slow ones are the baselines, and without them there is no ratio.
constexpr double kSlowCalls = 6.5, kMostCaps = 4;
// A repeated call must give the mean that was verified; rows need not be bitwise equal across calls of a baseline.
constexpr double kSameMean = 1e-6;
// Samples from which the length of a planted spin is taken.
constexpr int kPilotSamples = 9;

std::vector<Budget::Part> parts(const std::vector<Group>& groups, int repetitions) {
  std::vector<Budget::Part> result;
  for (const Group& group : groups) {
    result.push_back({repetitions * group.keys(), static_cast<double>(group.shape.elements())});
  }
  return result;
}

// What a row may take: its cap, or if it is slow up to kMostCaps of it, while that is not over half of what is left.
double allowance(double cap, double left) { return std::max(cap, std::min(kMostCaps * cap, 0.5 * left)); }

Json or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

// NVTX ranges around what a sampler does, outside of what it times.
class Ranged final : public Sampler {
 public:
  Ranged(std::unique_ptr<Sampler> sampler, const Key& key)
      : sampler_(std::move(sampler)),
        warm_up_(range_name(key) + ":warm-up"),
        sample_(range_name(key) + ":" + to_string(key.clock)) {}
  void warm_up() override {
    const Range range(warm_up_);
    sampler_->warm_up();
  }
  Sample sample() override {
    const Range range(sample_);
    return sampler_->sample();
  }
  bool host_bound() const override { return sampler_->host_bound(); }

 private:
  std::unique_ptr<Sampler> sampler_;
  std::string warm_up_, sample_;
};

}  // namespace

Session::Session(Setup setup, std::vector<Group> groups, Gpu* gpu, ResultFile& file,
                 std::map<std::string, Earlier> earlier)
    : setup_(std::move(setup)),
      groups_(std::move(groups)),
      gpu_(gpu),
      file_(file),
      earlier_(std::move(earlier)),
      budget_(setup_.seconds, setup_.set.rule.cap_seconds, parts(groups_, setup_.repetitions)),
      preparation_(setup_.set.device, setup_.seed, setup_.threads, gpu, setup_.offset),
      begin_(steady_seconds()) {
  for (const Group& group : groups_) total_ += setup_.repetitions * group.keys();
}

Session::~Session() = default;

double Session::elapsed() const { return steady_seconds() - begin_ - given_; }

Json Session::row_record(const Key& key, const Candidate& candidate) const {
  Json record;
  record["type"] = "row";
  key.write(record);
  record["process"] = setup_.process;
  record["settings"] = to_string(setup_.settings);
  record["verified"] = candidate.verified;
  record["idea"] = candidate.item->row->idea;
  record["baseline"] = candidate.item->row->baseline;
  record["candidate"] = ssim::candidate(*candidate.item->row);
  record["cost"] = {
      {"dram_bytes", candidate.cost.dram_bytes}, {"fma", candidate.cost.fma}, {"launches", candidate.cost.launches}};
  const verify::Verdict& v = candidate.verdict;
  record["verdict"] = {{"mean_error", or_null(v.mean_error)}, {"loss_error", or_null(v.loss_error)}};
  if (key.mode == Mode::train) {
    record["verdict"]["gradient_error"] = or_null(v.gradient_error);
    record["verdict"]["gradient_corner"] = or_null(v.gradient_corner);
    record["verdict"]["gradient_edge"] = or_null(v.gradient_edge);
    record["verdict"]["gradient_interior"] = or_null(v.gradient_interior);
  }
  record["memory"] = {{"peak_bytes", candidate.workspace_bytes + candidate.memory.peak}};
  // Null where forward and backward are one call: the workspace is all there is between them.
  if (key.mode == Mode::train) {
    record["memory"]["kept_bytes"] = candidate.memory.kept < 0 ? Json() : Json(candidate.memory.kept);
  }
  if (candidate.verified) {
    char bits[17];
    std::snprintf(bits, sizeof bits, "%016" PRIx64, std::bit_cast<std::uint64_t>(candidate.answer.mean));
    record["result"] = {{"mean", or_null(candidate.answer.mean)}, {"mean_bits", bits}};
    if (key.mode == Mode::train) {
      record["result"]["gradient_bits"] = candidate.answer.gradient_bits;
      record["result"]["gradient_probes"] = candidate.answer.gradient_probes;
    }
  }
  if (!setup_.spin_key.empty() && key.text() == setup_.spin_key) record["spin"] = setup_.spin_fraction;
  return record;
}

void Session::write_skipped(const Key& key, const std::string& reason, std::map<std::string, Result>& results) {
  Json record;
  record["type"] = "skipped";
  key.write(record);
  record["process"] = setup_.process;
  record["settings"] = to_string(setup_.settings);
  record["reason"] = reason;
  file_.write(record);
  Result result;
  result.text = reason;
  results[key.text()] = result;
  ++done_;
}

void Session::write_wrong(const Key& key, const Candidate& candidate, const std::string& error,
                          std::map<std::string, Result>& results) {
  Json record = row_record(key, candidate);
  for (const char* field : {"seconds", "rel_iqr", "ci_low", "ci_high"}) record[field] = Json();
  record["samples"] = 0;
  record["converged"] = false;
  record["host_bound"] = false;
  record["error"] = error;
  file_.write(record);
  Result result;
  result.kind = Result::Kind::wrong;
  result.text = error;
  results[key.text()] = result;
  progress_.note("error: " + key.text() + ": " + error);
  ++wrong_;
  ++done_;
}

void Session::write_failed(const Key& key, const Candidate& candidate, const std::string& error,
                           std::map<std::string, Result>& results) {
  // A right row that finds no memory beside those that it is timed with is not a wrong one.
  if (out_of_memory(error)) {
    write_skipped(key, "too large: " + error.substr(0, error.find('\n')), results);
  } else {
    write_wrong(key, candidate, error, results);
  }
}

void Session::write_row(const Key& key, const Candidate& candidate, const Entry& entry, bool host_bound,
                        std::map<std::string, Result>& results) {
  if (entry.samples.empty()) {
    write_skipped(key,
                  entry.discarded > 0
                      ? "all " + std::to_string(entry.discarded) + " samples were taken at a throttled clock"
                      : "not one sample in its time",
                  results);
    return;
  }
  Result result;
  result.kind = Result::Kind::measured;
  result.summary = summarize(entry.samples);
  result.samples = entry.samples.size();
  result.rounds = entry.rounds;
  result.converged = entry.decision == Decision::converged;
  result.host_bound = host_bound;
  result.discarded = entry.discarded;
  result.sm_mhz = entry.sm_mhz;
  result.cost = candidate.cost;
  result.text = unmet(entry.rule, entry.samples, entry.rounds);

  const Summary& s = result.summary;
  Json record = row_record(key, candidate);
  record["seconds"] = s.median;
  record["samples"] = result.samples;
  record["rounds"] = result.rounds;
  record["min"] = s.min;
  record["q1"] = s.q1;
  record["q3"] = s.q3;
  record["rel_iqr"] = s.rel_iqr;
  record["ci_low"] = s.interval.low;
  record["ci_high"] = s.interval.high;
  record["ci_coverage"] = s.interval.coverage;
  record["rel_half_width"] = s.rel_half_width;
  if (entry.rule.exact_rounds > 0) record["round_seconds"] = entry.medians;
  record["converged"] = result.converged;
  record["unmet"] = result.text.empty() ? Json() : Json(result.text);
  record["cap_s"] = entry.rule.cap_seconds;
  record["spent_s"] = entry.spent;
  record["discarded"] = result.discarded;
  if (result.sm_mhz > 0) record["sm_mhz"] = result.sm_mhz;
  record["host_bound"] = host_bound;
  record["error"] = Json();
  file_.write(record);
  results[key.text()] = result;
  ++done_;
}

// One that times the row, and in the planted one a spin behind every call.
std::unique_ptr<Sampler> Session::sampler(const Key& key, const Candidate& candidate) {
  const auto of = [&](const std::function<void()>& call) {
    return gpu_ ? gpu_->sampler(key.clock, call) : cpu_sampler(call, candidate.call_seconds);
  };
  const std::function<void()> plain = [&candidate] { candidate.call(); };
  if (setup_.spin_key.empty() || key.text() != setup_.spin_key) return of(plain);
  const std::unique_ptr<Sampler> pilot = of(plain);
  std::vector<double> seconds;
  pilot->warm_up();
  for (int i = 0; i < kPilotSamples; ++i) seconds.push_back(pilot->sample().seconds);
  const double spin = setup_.spin_fraction * median(seconds);
  return of([this, plain, spin] {
    plain();
    if (gpu_) {
      gpu_->enqueue_spin(spin);
    } else {
      for (const double begin = steady_seconds(); steady_seconds() - begin < spin;) {
      }
    }
  });
}

std::map<std::string, Result> Session::measure(std::size_t index) {
  const Group& group = groups_[index];
  std::map<std::string, Result> results;
  if (setup_.stop_requested()) return results;  // before images are made
  const Device device = setup_.set.device;
  const auto skip_item = [&](const Group::Item& item, const std::string& reason) {
    for (const Clock clock : item.clocks) write_skipped(group.key(item, clock), reason, results);
  };
  const auto show = [&](const Key& key) {
    progress_.show(done_, total_, key.text(), budget_.remaining(index, elapsed()));
  };
  const double checks_begin = steady_seconds();
  const double first_cap = allowance(budget_.cap(index, elapsed(), false), std::max(0.0, setup_.seconds - elapsed()));
  const std::string share = "what is left of the set's " + seconds_text(setup_.seconds);

  std::vector<std::unique_ptr<Candidate>> candidates;
  if (const std::string reason = preparation_.begin(group); !reason.empty()) {
    for (const Group::Item& item : group.items) skip_item(item, reason);
    return results;
  }
  for (const Group::Item& item : group.items) {
    if (setup_.stop_requested()) return results;
    show(group.key(item, item.clocks.front()));
    auto [candidate, skipped] = preparation_.prepare(group, item, first_cap, share);
    if (!candidate) {
      skip_item(item, skipped);
    } else if (!candidate->error.empty()) {
      for (const Clock clock : item.clocks) {
        write_wrong(group.key(item, clock), *candidate, candidate->error, results);
      }
    } else {
      candidates.push_back(std::move(candidate));
    }
  }
  budget_.took_checks(index, steady_seconds() - checks_begin);

  // One entry a row and clock.
  struct Timed {
    Key key;
    Candidate* candidate;
    std::unique_ptr<baselines::GraphMemory> graph_memory;  // outlives the sampler, which has the graph
    std::unique_ptr<Sampler> sampler;
  };
  std::vector<Timed> timed;
  std::vector<Entry> entries;
  for (const auto& candidate : candidates) {
    Candidate* const c = candidate.get();
    for (const Clock clock : c->item->clocks) {
      const Key key = group.key(*c->item, clock);
      Timed entry{key, c, nullptr, nullptr};
      try {
        // What allocates can be captured only with memory of the graph's own.
        if (clock == Clock::graph && !c->item->row->capturable) {
          entry.graph_memory = std::make_unique<baselines::GraphMemory>(gpu_->stream());
        }
        entry.sampler = std::make_unique<Ranged>(sampler(key, *c), key);
        if (entry.graph_memory) entry.graph_memory->end();
      } catch (const CannotTime& reason) {
        write_skipped(key, reason.what(), results);
        continue;
      } catch (const std::exception& error) {
        write_failed(key, *c, error.what(), results);
        continue;
      }
      Entry state;
      if (const auto found = earlier_.find(key.text()); found != earlier_.end()) {
        state.samples = found->second.samples;
        state.rounds = found->second.rounds;
        state.discarded = found->second.discarded;
        // Its earlier time was another budget's; what this process gives it is its own cap.
      }
      state.sampler = entry.sampler.get();
      timed.push_back(std::move(entry));
      entries.push_back(std::move(state));
    }
  }
  StoppingRule rule = setup_.set.rule;
  rule.cap_seconds = budget_.cap(index, elapsed(), true);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].rule = rule;
    entries[i].rule.cap_seconds =
        std::max(rule.cap_seconds, std::min(allowance(rule.cap_seconds, setup_.seconds - elapsed()),
                                            kSlowCalls * timed[i].candidate->call_seconds));
    if (rule.cap_seconds > 0 || !entries[i].samples.empty()) continue;
    entries[i].error = "skip";
    write_skipped(timed[i].key, "the set's " + seconds_text(setup_.seconds) + " were used up before it", results);
  }

  const SchedulerHooks hooks{
      .now = steady_seconds,
      .stop_requested = setup_.stop_requested,
      .on_turn =
          [&](std::size_t i, const Turn& turn) {
            Json record;
            record["type"] = "samples";
            timed[i].key.write(record);
            record["process"] = setup_.process;
            record["round"] = turn.round;
            record["seconds"] = turn.seconds;
            if (turn.sm_mhz > 0) record["sm_mhz"] = turn.sm_mhz;
            record["discarded"] = turn.discarded;
            record["spent_s"] = turn.spent;
            file_.write(record);
            show(timed[i].key);
          },
      .on_done =
          [&](std::size_t i) {
            Entry& entry = entries[i];
            if (entry.error.empty()) {
              // What was timed must still be what was verified.
              try {
                timed[i].candidate->mean.fill(0xff);
                verify::synchronize(device);
                timed[i].sampler->sample();
                const double mean = timed[i].candidate->mean.download<double>().front();
                if (!(std::abs(mean - timed[i].candidate->answer.mean) <= kSameMean)) {
                  char text[128];
                  std::snprintf(text, sizeof text, "after timing its mean is %.17g; verified was %.17g", mean,
                                timed[i].candidate->answer.mean);
                  entry.error = text;
                }
              } catch (const std::exception& error) {
                entry.error = error.what();
              }
            }
            if (entry.error.empty()) {
              write_row(timed[i].key, *timed[i].candidate, entry, timed[i].sampler->host_bound(), results);
            } else {
              write_failed(timed[i].key, *timed[i].candidate, entry.error, results);
            }
          },
      .give_way =
          [&] {
            if (setup_.give_way) given_ += setup_.give_way();
          },
  };
  double allotted = 0;
  for (const Entry& entry : entries) allotted += entry.error.empty() ? entry.rule.cap_seconds : 0;
  const double rounds_begin = elapsed();
  // Each group has an order of its own, the same in every run with this seed.
  run_rounds(entries, TurnRule{}, setup_.seed + 0x9e3779b97f4a7c15ull * (index + 1), hooks);
  budget_.took(allotted, elapsed() - rounds_begin);
  return results;
}

}  // namespace ssim::bench
