// SPDX-License-Identifier: MIT
// Control of the defects (kernels/defect.hpp) in the rows of the mutants' build.
#pragma once

#include <vector>

#include "kernels/defect.hpp"

namespace ssim::verify {

struct KnownDefect {
  Defect defect;
  const char* name;
  const char* check;  // that must catch it
};
const std::vector<KnownDefect>& known_defects();

/// Switches one on (and the others off); Defect::none switches all off.
void activate(Defect defect);

/// Whether a row has asked for the defect since forget_asked(), on the host or in emulation.
bool was_asked(Defect defect);
void forget_asked();

}  // namespace ssim::verify
