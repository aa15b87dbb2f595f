// SPDX-License-Identifier: MIT
// The rows of kernels/, in the order in which a reader should meet them.
#pragma once

#include <vector>

#include "implementation.hpp"

namespace ssim {

/// All rows that were built, production last of each device. Rows of a device that is absent at run time are listed
/// too.
const std::vector<Implementation>& kernel_rows();

/// The row, or nullptr.
const Implementation* find_row(Device device, const std::string& name);

/// Whether rows of the device can run now; reason (if given) says why not.
bool device_available(Device device, std::string* reason = nullptr);

}  // namespace ssim
