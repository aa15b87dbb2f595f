// SPDX-License-Identifier: MIT
// Order statistics of timing samples: quantiles, the interval of the median, the relative interquartile range.
//
// The interval of the median is distribution-free: the number of samples below the median of the population is
// Binomial(n, 1/2), so the k-th smallest and k-th largest sample enclose it with a probability that depends on n and k
// alone (e.g. David and Nagaraja, Order Statistics, 3rd ed., section 7.1). It assumes independent samples; samples of
// one process are nearly that within a run and not between runs, see README.md.
#pragma once

#include <vector>

namespace ssim::bench {

/// Linear interpolation between order statistics, numpy.quantile's default. `sorted` ascending and not empty, q in
/// [0, 1].
double quantile(const std::vector<double>& sorted, double q);

/// Median of a non-empty list in any order.
double median(std::vector<double> values);

/// An interval that encloses the population's median with probability `coverage`.
struct Interval {
  double low = 0, high = 0;
  double coverage = 0;  // what the chosen order statistics give; below 0.95 when there are fewer than 6 samples
};

/// The narrowest symmetric order-statistic interval of coverage >= `coverage`; [min, max] where n is too small for one.
Interval median_interval(const std::vector<double>& sorted, double coverage = 0.95);

/// What is reported of one list of samples.
struct Summary {
  double median = 0, q1 = 0, q3 = 0, min = 0, max = 0;
  double rel_iqr = 0;         // (q3 - q1) / median
  Interval interval;          // of the median, 95 %
  double rel_half_width = 0;  // the larger distance from the median to an end of the interval, over the median
};

/// `values` not empty, all finite.
Summary summarize(std::vector<double> values);

}  // namespace ssim::bench
