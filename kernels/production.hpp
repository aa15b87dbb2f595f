// SPDX-License-Identifier: MIT
// The row that users get: it runs the best of the other rows for the device, the shape and the mode.
#pragma once

#include "implementation.hpp"
#include "selection.hpp"

namespace ssim {

/// The production row of a device.
Implementation production(Device device);

/// Whether production may run a row at all: it meets the accuracy that is asked of production, gives the same bits
/// every time and can be captured.
bool candidate(const Implementation& row);

/// Which row production runs, found in kernel_rows(), and by which line of the table; no row where none supports the
/// problem. `pointers`: base pointers' alignment in bytes, as a power of two or any sum of addresses.
struct Choice {
  const Implementation* row = nullptr;
  Decision decision;
};
Choice choose(Device device, const Problem& problem, Mode mode, std::uintptr_t pointers = 16);

/// The same for a device of a class that need not be here.
Choice choose(Device device, const DeviceClass& of, const Problem& problem, Mode mode, std::uintptr_t pointers = 16);

}  // namespace ssim
