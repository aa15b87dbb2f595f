// SPDX-License-Identifier: MIT
// The CPU's clock: wall time by the steady clock, with as many calls in a sample as make it long enough.
//
// Repeated calls over one buffer: what fits into the caches stays there, as in a loop over the same images.
#pragma once

#include <functional>
#include <memory>

#include "scheduler.hpp"

namespace ssim::bench {

/// Seconds of the steady clock.
double steady_seconds();

/// `call` runs the row once and throws std::runtime_error where it fails. `estimate`: seconds of one call, about.
std::unique_ptr<Sampler> cpu_sampler(std::function<void()> call, double estimate);

/// Settings `best`: malloc keeps its pages, so that no row pays page faults for its temporaries in every call.
void keep_pages();

}  // namespace ssim::bench
