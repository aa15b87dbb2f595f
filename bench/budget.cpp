// SPDX-License-Identifier: MIT
#include "budget.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ssim::bench {
namespace {

constexpr double kMostBeyond = 3, kLeastSpent = 0.5;  // times its share; seconds before anything is made of them
constexpr double kMostChecks = 0.5;                   // of what is left
// Before there is a line: what libraries pay at their first calls, in elements, without which tiny problems would make
// large ones look endless.
constexpr double kFirstCalls = 500e3;

// 1 at 3x256x256, of which three quarters are the clock's own: flushes, delays, rounds.
double weight(double elements) { return 0.75 + 0.25 * std::sqrt(std::max(1.0, elements / 196608.0)); }

}  // namespace

Budget::Budget(double seconds, double max_cap, std::vector<Part> parts)
    : seconds_(seconds), max_cap_(max_cap), parts_(std::move(parts)) {}

double Budget::checks(std::size_t first) const {
  if (n_ == 0) return 0;
  const double spread = n_ * xx_ - x_ * x_;
  double each = y_ / (x_ + kFirstCalls * n_), fixed = kFirstCalls * each;
  if (spread > 1e-6 * n_ * xx_) {
    each = std::max(0.0, (n_ * xy_ - x_ * y_) / spread);
    fixed = (y_ - each * x_) / n_;
    if (fixed < 0) {
      fixed = 0;
      each = xy_ / xx_;
    }
  }
  double sum = 0;
  for (std::size_t i = first; i < parts_.size(); ++i) sum += fixed + each * parts_[i].elements;
  return sum;
}

double Budget::cap(std::size_t index, double elapsed, bool checked) const {
  double shares = 0;
  for (std::size_t i = index; i < parts_.size(); ++i) shares += parts_[i].keys * weight(parts_[i].elements);
  const double all = seconds_ - elapsed;
  if (!(shares > 0) || !(all > 0)) return 0;
  const double left = all - std::min(checks(index + (checked ? 1 : 0)), kMostChecks * all);
  const double beyond = spent_ > kLeastSpent ? std::clamp(allotted_ / spent_, 1.0, kMostBeyond) : 1.0;
  const double share = beyond * left * weight(parts_[index].elements) / shares;
  // Should they all take what they may, the group is through when the time is.
  return std::clamp(std::min(share, left / std::max(1, parts_[index].keys)), 0.0, max_cap_);
}

void Budget::took_checks(std::size_t index, double seconds) {
  const double elements = parts_[index].elements;
  n_ += 1;
  x_ += elements;
  y_ += seconds;
  xx_ += elements * elements;
  xy_ += elements * seconds;
}

void Budget::took(double allotted, double spent) {
  allotted_ += allotted;
  spent_ += spent;
}

double Budget::remaining(std::size_t index, double elapsed) const {
  double most = 0;
  for (std::size_t i = index; i < parts_.size(); ++i) most += parts_[i].keys * max_cap_;
  return std::clamp(seconds_ - elapsed, 0.0, most);
}

}  // namespace ssim::bench
