// SPDX-License-Identifier: MIT
// What the driver tells of the current card.
#pragma once

#include "environment.hpp"

namespace ssim::verify {

/// device_name, driver, cuda, power_limit_w, ecc, highest clocks, ... into the environment. Throws std::runtime_error
/// naming the operation where the runtime fails.
void describe_card(Json& environment);

}  // namespace ssim::verify
