// SPDX-License-Identifier: MIT
// What a test wants to know of the stream row beyond the contract.
#pragma once

#include <string>
#include <vector>

#include "kernels/implementation.hpp"

namespace ssim::cpu {

/// Names of the instruction sets that this build has and this CPU can run, best first; "portable" is always the last.
/// The environment variable SSIM_CPU_ISA, read at every call, forces one of them.
std::vector<std::string> instruction_sets();

}  // namespace ssim::cpu
