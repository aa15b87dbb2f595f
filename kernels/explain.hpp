// SPDX-License-Identifier: MIT
// Which row production would run for a problem, and why not the others: for people, never on the path of a call.
#pragma once

#include <string>
#include <vector>

#include "ssim.hpp"

namespace ssim {

struct RowVerdict {
  std::string row;  // its name; empty in the first entry where nothing runs
  std::string why;
};

/// First the row that runs with the line of the measured table that decided (or an empty name and the reason why none
/// runs), then the device's others, each with why not. For pointers that are aligned to 16 bytes. Allocates; touches no
/// images.
std::vector<RowVerdict> explain(Device device, const Problem& problem, Mode mode);

}  // namespace ssim
