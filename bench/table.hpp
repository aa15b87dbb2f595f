// SPDX-License-Identifier: MIT
// The table that ssim_bench prints at its end.
#pragma once

#include <string>

#include "ceilings.hpp"
#include "google.hpp"

namespace ssim::bench {

/// One line a key: time per element, interval, rates by the row's cost model against the ceilings; then what was
/// skipped or wrong, with the reason.
std::string table(const Outcome& outcome, const Ceilings& ceilings);

}  // namespace ssim::bench
