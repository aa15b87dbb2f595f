// SPDX-License-Identifier: MIT
// What a figure depends on besides the code: machine, driver, compiler, flags, threads, commit.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "kernels/ssim.hpp"

namespace ssim::verify {

using Json = nlohmann::ordered_json;

/// What a record of figures names as its environment, without what only a card's driver knows (card.hpp adds that).
/// Unknown values are null.
Json host_environment(Device device, int threads);

/// CPUs that this process may run on: its affinity mask, and its control group's quota if that is smaller.
int available_cpus();

/// Output of a command's stdout without the trailing newline; "" if it failed.
std::string command_output(const std::string& command);

}  // namespace ssim::verify
