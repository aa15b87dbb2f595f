// SPDX-License-Identifier: MIT
// Every row there is in this build: those of kernels/, the LibTorch operator, and the baselines.
#pragma once

#include <vector>

#include "kernels/implementation.hpp"

namespace ssim {

/// kernel_rows(), then the rows that need LibTorch where it was found, then those of a library that the environment
/// names (library_row.hpp).
const std::vector<Implementation>& all_rows();

}  // namespace ssim
