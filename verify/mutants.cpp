// SPDX-License-Identifier: MIT
#include "mutants.hpp"

#include <array>
#include <atomic>

namespace ssim {
namespace {

std::atomic<int> active{0};
std::array<std::atomic<bool>, 64> asked{};
std::atomic<int> drifts{0};

}  // namespace

bool defect_active(Defect defect) {
  asked[static_cast<std::size_t>(defect)].store(true, std::memory_order_relaxed);
  return active.load(std::memory_order_relaxed) == static_cast<int>(defect);
}

Defect defect_now() { return static_cast<Defect>(active.load()); }

double defect_drift() { return 1 + 1e-15 * ++drifts; }

namespace verify {

const std::vector<KnownDefect>& known_defects() {
  static const std::vector<KnownDefect> all = {
#define SSIM_DEFECT_ENTRY(name, check) {Defect::name, #name, #check},
      SSIM_DEFECTS(SSIM_DEFECT_ENTRY)
#undef SSIM_DEFECT_ENTRY
  };
  return all;
}

void activate(Defect defect) { active = static_cast<int>(defect); }
bool was_asked(Defect defect) { return asked[static_cast<std::size_t>(defect)]; }
void forget_asked() {
  for (auto& a : asked) a = false;
}

}  // namespace verify
}  // namespace ssim
