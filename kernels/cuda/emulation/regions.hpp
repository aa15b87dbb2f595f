// SPDX-License-Identifier: MIT
// Which memory kernels may touch: the table behind memory.hpp, as the running threads see it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ssim::cuda_emulated::emulation {

struct Region {
  std::uintptr_t begin = 0, end = 0;
};

/// All registered and all allocated regions at one time, each sorted by address.
struct Regions {
  std::vector<Region> registered, allocated;
};

/// The table as it is now; it stays valid and unchanged while it is held.
std::shared_ptr<const Regions> regions();

/// The registered region that holds the access, or, of memory that nobody registered, all around it up
/// to what is known. {} if there is neither. forbidden: the access must not happen.
Region find_region(const Regions& table, std::uintptr_t address, std::size_t bytes, bool* forbidden);

/// How many of the 16 aligned bytes around an address lie from there to the first byte of a registered region; else 0.
std::size_t bytes_before(const Regions& table, std::uintptr_t address);

/// "4 bytes past the end of 1024 bytes at 0x...", of the nearest registered region; "" if none is near.
std::string describe(const Regions& table, std::uintptr_t address);

}  // namespace ssim::cuda_emulated::emulation
