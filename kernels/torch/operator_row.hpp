// SPDX-License-Identifier: MIT
#pragma once

#include "kernels/implementation.hpp"

namespace ssim {

/// The row `operator`: production as a LibTorch user calls it.
Implementation operator_row(Device device);

/// The row `operator_recompute`: keeps no gradient for the backward, which computes it.
Implementation operator_recompute_row(Device device);

}  // namespace ssim
