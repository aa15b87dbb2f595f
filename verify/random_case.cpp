// SPDX-License-Identifier: MIT
#include "random_case.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "inputs.hpp"

namespace ssim::verify {
namespace {

// A stream of numbers of [0, 1) from one seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  double roll() { return uniform_at(seed_, next_++); }
  std::int64_t below(std::int64_t n) {
    return std::min(n - 1, static_cast<std::int64_t>(roll() * static_cast<double>(n)));
  }
  /// 1 to most, small ones as likely as large ones.
  std::int64_t size(std::int64_t most) {
    return std::clamp<std::int64_t>(std::llround(std::exp(roll() * std::log(static_cast<double>(most)))), 1, most);
  }

 private:
  std::uint64_t seed_, next_ = 0;
};

// Heights and widths: often one off a multiple of a tile.
std::int64_t side(Dice& dice, std::int64_t most) {
  if (dice.roll() < 0.6) return dice.size(most);
  const std::int64_t tile = dice.roll() < 0.7 ? 16 : 128;
  const std::int64_t around = tile * (1 + dice.below(std::max<std::int64_t>(1, most / tile))) + dice.below(3) - 1;
  return std::clamp<std::int64_t>(around, 1, most);
}

}  // namespace

std::int64_t most_elements(const Implementation& row) {
  return row.device == Device::cuda_emulated ? 6000 : row.baseline ? 12000 : 40000;
}

RandomCase draw_case(std::uint64_t seed, std::int64_t elements) {
  Dice dice(seed);
  RandomCase out;
  Problem& p = out.spec.problem;
  p.padding = dice.roll() < 0.5 ? Padding::same : Padding::valid;
  const std::int64_t least = p.padding == Padding::valid ? kWindow : 1;
  const double thin = dice.roll();  // one in ten is a line of pixels
  const std::int64_t most = std::min<std::int64_t>(elements, thin < 0.1 ? 4000 : 400);
  p.width = std::max(least, side(dice, most));
  p.height = std::max(least, side(dice, std::min(most, std::max<std::int64_t>(1, elements / p.width))));
  if (thin < 0.05) std::swap(p.width, p.height);
  const std::int64_t planes = std::max<std::int64_t>(1, elements / p.plane_size());
  p.channels = dice.size(std::min<std::int64_t>(7, planes));
  p.batch = dice.size(std::min<std::int64_t>(40, std::max<std::int64_t>(1, planes / p.channels)));
  const auto& classes = input_classes();
  out.spec.input_class = classes[static_cast<std::size_t>(dice.below(static_cast<std::int64_t>(classes.size())))].name;
  out.spec.offset = dice.roll() < 0.5 ? 0 : 4 * dice.below(4);
  out.mode = dice.roll() < 0.7 ? Mode::train : Mode::infer;
  out.seed = 1 + static_cast<std::uint64_t>(dice.below(1 << 30));
  if (dice.roll() < 0.1) out.spec.offset = kApart | dice.below(4) << 2 | dice.below(4) << 6 | dice.below(4) << 10;
  return out;
}

std::string failure(const Implementation& row, const RandomCase& one, std::string* message) {
  const Problem& p = one.spec.problem;
  if (!check(p) || !row.supports(one.spec.problem, one.mode).empty()) return "";
  const Case problem_case(row.device, p, one.spec.input_class, one.seed, one.spec.offset);
  const Verdict v = verify_row(row, problem_case, one.mode);
  if (message) *message = v.message;
  return v.failed;
}

RandomCase minimise(RandomCase one, const std::function<bool(const RandomCase&)>& fails, int attempts) {
  const auto smaller = [](const RandomCase& from) {
    std::vector<RandomCase> list;
    const auto with = [&](auto change) {
      RandomCase next = from;
      change(next);
      list.push_back(next);
    };
    if (from.spec.offset) with([](RandomCase& c) { c.spec.offset = 0; });
    if (from.spec.input_class != "uniform") with([](RandomCase& c) { c.spec.input_class = "uniform"; });
    if (from.mode == Mode::train) with([](RandomCase& c) { c.mode = Mode::infer; });
    for (std::int64_t Problem::*size : {&Problem::batch, &Problem::channels, &Problem::height, &Problem::width}) {
      const std::int64_t now = from.spec.problem.*size;
      for (const std::int64_t to : {std::int64_t{1}, now / 2, now - now / 4, now - 1}) {
        if (to >= 1 && to < now) with([&](RandomCase& c) { c.spec.problem.*size = to; });
      }
    }
    return list;
  };
  for (bool progress = true; progress;) {
    progress = false;
    for (const RandomCase& next : smaller(one)) {
      if (!check(next.spec.problem)) continue;
      if (--attempts < 0) return one;
      if (!fails(next)) continue;
      one = next;
      progress = true;
      break;
    }
  }
  return one;
}

}  // namespace ssim::verify
