// SPDX-License-Identifier: MIT
// What a figure depends on besides the code: machine, driver, compiler, flags, threads, commit.
#pragma once

#include <string>

#include "key.hpp"

namespace ssim::bench {

/// The `environment` of a run record, without what only a GPU's driver knows (gpu.hpp adds that). Unknown values are
/// null.
Json host_environment(Device device, int threads);

/// "" if this build may be timed, else why not: assertions on, no optimisation.
std::string refuse_build();

/// CPUs that this process may run on: its affinity mask, and its control group's quota if that is smaller.
int available_cpus();

/// Output of a command's stdout without the trailing newline; "" if it failed.
std::string command_output(const std::string& command);

}  // namespace ssim::bench
