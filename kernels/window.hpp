// SPDX-License-Identifier: MIT
// The 11 taps of the Gaussian window, sigma 1.5, normalised to sum 1; the 2-D window is their outer product.
//
// w[k] = exp(-(k - 5)^2 / (2 * 1.5^2)) / sum. Evaluated with 40 digits and rounded to double; verify/ computes them
// anew. Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004, section III-C.
#pragma once

#include "host_device.hpp"

namespace ssim {

inline constexpr double kTaps[11] = {0.0010283800844791098817, 0.0075987581352391841845, 0.036000772128430823648,
                                     0.10936068950970001069,   0.21300553771125369989,   0.26601172486179434341,
                                     0.21300553771125369989,   0.10936068950970001069,   0.036000772128430823648,
                                     0.0075987581352391841845, 0.0010283800844791098817};

/// Tap k as fp32. A function rather than an array, so that device code gets an immediate once the loop is unrolled.
SSIM_HOST_DEVICE constexpr float tap(int k) {
  constexpr float taps[11] = {static_cast<float>(kTaps[0]), static_cast<float>(kTaps[1]), static_cast<float>(kTaps[2]),
                              static_cast<float>(kTaps[3]), static_cast<float>(kTaps[4]), static_cast<float>(kTaps[5]),
                              static_cast<float>(kTaps[6]), static_cast<float>(kTaps[7]), static_cast<float>(kTaps[8]),
                              static_cast<float>(kTaps[9]), static_cast<float>(kTaps[10])};
  return taps[k];
}

}  // namespace ssim
