// SPDX-License-Identifier: MIT
// The shapes that every row is verified on. test_shapes.cpp counts that each row gets each kind.
#pragma once

#include <vector>

#include "check.hpp"

namespace ssim::verify {

/// What all rows of the device are run on, in an order in which the same images are asked for in a row. Emulated rows
/// are some thousand times slower, and get the small end of each list.
std::vector<CaseSpec> cases(Device device, Padding padding);

/// Baselines may take a second for what a kernel does in a millisecond; their kernels are LibTorch's, so the small
/// problems are what they are verified on (bench verifies them on what it times).
bool for_baselines(const Problem& problem);

/// A row's own seams, in each direction: one less than a tile or a few, as many, one more. Where the row refuses such a
/// size (widths that are no multiple of a vector) the next one that it takes on that side. Empty for rows without
/// tiles.
struct Seam {
  CaseSpec spec;
  bool vertical = false;  // of heights
  int side = 0;           // -1, 0, 1: below, at, above a multiple of the tile
};
std::vector<Seam> seams(const Implementation& row, Mode mode, Padding padding);

}  // namespace ssim::verify
