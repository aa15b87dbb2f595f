// SPDX-License-Identifier: MIT
#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace ssim::bench {

double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) throw std::invalid_argument("quantile of no samples");
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  if (below + 1 >= sorted.size()) return sorted.back();
  const double fraction = position - static_cast<double>(below);
  return sorted[below] + fraction * (sorted[below + 1] - sorted[below]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

Interval median_interval(const std::vector<double>& sorted, double coverage) {
  if (sorted.empty()) throw std::invalid_argument("interval of no samples");
  const std::size_t n = sorted.size();
  const double tail = (1 - coverage) / 2;
  // P(Binomial(n, 1/2) <= i), summed until it exceeds the tail. Logarithms: 2^-n underflows beyond n = 1074.
  std::size_t k = 0;  // [x_(k+1), x_(n-k)], counting from 1, leaves P(<= k) on each side
  double below = 0, kept = std::exp2(-static_cast<double>(n));
  for (std::size_t i = 0; 2 * (i + 1) <= n; ++i) {
    const double log_term = std::lgamma(n + 1.0) - std::lgamma(i + 1.0) -
                            std::lgamma(static_cast<double>(n - i) + 1.0) - static_cast<double>(n) * std::log(2.0);
    below += std::exp(log_term);
    if (i > 0 && below > tail) break;
    k = i;
    kept = below;
    if (below > tail) break;  // i == 0: nothing better than [min, max]
  }
  return {sorted[k], sorted[n - 1 - k], 1 - 2 * kept};
}

Summary summarize(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  Summary s;
  s.median = quantile(values, 0.5);
  s.q1 = quantile(values, 0.25);
  s.q3 = quantile(values, 0.75);
  s.min = values.front();
  s.max = values.back();
  s.interval = median_interval(values);
  if (s.median > 0) {
    s.rel_iqr = (s.q3 - s.q1) / s.median;
    s.rel_half_width = std::max(s.median - s.interval.low, s.interval.high - s.median) / s.median;
  }
  return s;
}

}  // namespace ssim::bench
