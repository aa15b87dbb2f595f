// SPDX-License-Identifier: MIT
// The window in fp16: 11 weights of one common scale, chosen so that rounding them costs least.
//
// The scale of the weights is free, because it goes into the constants of the formula. Among all scales this vector is
// the one whose normalised weights lie nearest to the Gaussian: 7.5e-6 in the sum of absolute differences, where
// rounding at a random scale leaves 1.4e-4. So weights need no second, low part, and a third of the products is saved.
#pragma once

#include <cstdint>

#include "../host_device.hpp"
#include "../ssim.hpp"

namespace ssim {

inline constexpr double kHalfTaps[6] = {0x1.cccp-10, 0x1.a98p-7, 0x1.f8p-5, 0x1.7ecp-3, 0x1.74cp-2, 0x1.d18p-2};

/// Sum of all 11.
inline constexpr double kHalfTapSum =
    2 * (kHalfTaps[0] + kHalfTaps[1] + kHalfTaps[2] + kHalfTaps[3] + kHalfTaps[4]) + kHalfTaps[5];

/// Bits of a positive normal fp16 number that holds the value exactly.
constexpr std::uint32_t exact_half_bits(double value) {
  std::uint32_t exponent = 15;
  while (value < 1) value *= 2, --exponent;
  while (value >= 2) value /= 2, ++exponent;
  return exponent << 10 | static_cast<std::uint32_t>((value - 1) * 1024);
}

/// Tap k as fp16 bits; 0 outside of the window.
constexpr std::uint32_t half_tap_bits(int k) {
  if (k < 0 || k >= kWindow) return 0;
  return exact_half_bits(kHalfTaps[k <= kHalo ? k : kWindow - 1 - k]);
}

}  // namespace ssim
