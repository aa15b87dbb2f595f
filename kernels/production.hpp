// SPDX-License-Identifier: MIT
// The row that users get: it runs the best of the other rows for the device, the shape and the mode.
#pragma once

#include "implementation.hpp"

namespace ssim {

/// The production row of a device.
Implementation production(Device device);

/// Which row it would run, found in kernel_rows(); nullptr where none supports the problem.
const Implementation* choose(Device device, const Problem& problem, Mode mode);

}  // namespace ssim
