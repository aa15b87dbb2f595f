// SPDX-License-Identifier: MIT
#include "budget.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ssim::bench {
namespace {

constexpr double kMostBeyond = 3, kLeastSpent = 0.5;  // times its share; seconds before anything is made of them

// One unit at 3x256x256 and below, where the clock's own overhead rules.
double weight(double elements) { return std::sqrt(std::max(1.0, elements / 196608.0)); }

}  // namespace

Budget::Budget(double seconds, double max_cap, std::vector<Part> parts)
    : seconds_(seconds), max_cap_(max_cap), parts_(std::move(parts)) {}

double Budget::cap(std::size_t index, double elapsed, double check_rate, bool checked) const {
  double shares = 0, checks = 0;
  for (std::size_t i = index; i < parts_.size(); ++i) {
    shares += parts_[i].keys * weight(parts_[i].elements);
    if (i > index || !checked) checks += check_rate * check_weight(parts_[i].elements);
  }
  if (!(shares > 0)) return 0;
  const double left = seconds_ - elapsed - checks;
  const double beyond = spent_ > kLeastSpent ? std::clamp(allotted_ / spent_, 1.0, kMostBeyond) : 1.0;
  const double share = beyond * left * weight(parts_[index].elements) / shares;
  // Should they all take what they may, the group is through when the time is.
  return std::clamp(std::min(share, left / std::max(1, parts_[index].keys)), 0.0, max_cap_);
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
