// SPDX-License-Identifier: MIT
// The rows that are written with LibTorch, each for one device.
#pragma once

#include "kernels/implementation.hpp"

namespace ssim::baselines {

Implementation naive_conv(Device device);
Implementation pytorch_mssim(Device device);

}  // namespace ssim::baselines
