// SPDX-License-Identifier: MIT
// --upstream-protocol: the published package's own benchmark, repeated to the letter and labelled as that.
#pragma once

#include <functional>

#include "gpu.hpp"
#include "options.hpp"

namespace ssim::bench {

/// One `upstream` record (README.md) for each row and size, handed to `write` as it is there; prints a table. `wanted`
/// decides by the text of the key, with clock wall. Returns how many rows were wrong.
int run_upstream_protocol(Device device, int threads, std::uint64_t seed, Gpu* gpu,
                          const std::function<bool(const Key&)>& wanted, const std::function<void(Json)>& write,
                          const std::function<bool()>& stop_requested);

}  // namespace ssim::bench
