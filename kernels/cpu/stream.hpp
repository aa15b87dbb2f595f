// SPDX-License-Identifier: MIT
// What a test wants to know of the stream row beyond the contract.
#pragma once

#include <string>
#include <vector>

#include "kernels/implementation.hpp"
#include "stream_task.hpp"

namespace ssim::cpu {

/// Names of the instruction sets that this build has and this CPU can run, best first; "portable" is always the last.
/// The environment variable SSIM_CPU_ISA, read at every call, forces one of them.
std::vector<std::string> instruction_sets();

/// The row with this arithmetic in place of the chosen one: how the verifier is given broken ones. nullptr: the row.
Implementation stream_with(TaskFunction run_task);

}  // namespace ssim::cpu
