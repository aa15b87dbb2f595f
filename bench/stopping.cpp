// SPDX-License-Identifier: MIT
#include "stopping.hpp"

#include <cstdio>

namespace ssim::bench {

std::string unmet(const StoppingRule& rule, const std::vector<double>& samples, int rounds) {
  if (samples.empty()) return "no samples";
  const Summary s = summarize(samples);
  const std::size_t wanted = s.median > rule.long_call_seconds ? rule.min_long : rule.min_samples;
  std::string text;
  char part[96];
  const auto add = [&] { text += (text.empty() ? "" : "; ") + std::string(part); };
  if (rule.exact_rounds > 0) {
    if (rounds >= rule.exact_rounds) return "";
    std::snprintf(part, sizeof part, "%d of %d rounds", rounds, rule.exact_rounds);
    return part;
  }
  if (samples.size() < wanted) {
    std::snprintf(part, sizeof part, "%zu of %zu samples", samples.size(), wanted);
    add();
  }
  if (rounds < rule.min_rounds) {
    std::snprintf(part, sizeof part, "%d of %d rounds", rounds, rule.min_rounds);
    add();
  }
  if (s.interval.coverage < 0.95) {
    std::snprintf(part, sizeof part, "%zu samples give no 95 %% interval", samples.size());
    add();
  } else if (!(s.rel_half_width <= rule.half_width)) {
    std::snprintf(part, sizeof part, "interval +-%.2g %%, wanted +-%.2g %%", 100 * s.rel_half_width,
                  100 * rule.half_width);
    add();
  }
  return text;
}

Decision decide(const StoppingRule& rule, const std::vector<double>& samples, int rounds, double spent) {
  if (unmet(rule, samples, rounds).empty()) return Decision::converged;
  return spent >= rule.cap_seconds ? Decision::capped : Decision::go_on;
}

}  // namespace ssim::bench
