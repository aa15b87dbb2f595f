// SPDX-License-Identifier: MIT
// The only place with tolerances: (statistics of the row, input class) -> what a result may be off. Raising one needs a
// line in CHANGELOG.md.
#pragma once

#include <string>

#include "kernels/implementation.hpp"

namespace ssim::verify {

struct Tolerance {
  double mean;           // absolute, of the mean as fp64 over many positions
  double position;       // of the value of one position: the mean over N of them may be off by position / sqrt(N) more
  double gradient;       // in units of the oracle's gradient (Verdict)
  double gradient_unit;  // and in units of 1 / N, N = positions counted: what is left where the gradient is zero
  double loss = 0;       // relative to 1 - SSIM, of many positions; 0 = not asked for
  bool peak = false;     // the gradient's unit is its largest value: where it is zero nearly everywhere the RMS says
                         // how large the image is
  double loss_position = 0;  // the mean over N may be off by loss_position / sqrt(N) of 1 - SSIM more
};

/// Of images with places of two classes, "uniform+impulse": what the worse of the two is allowed. Throws
/// std::invalid_argument for a class that has no tolerance.
Tolerance tolerance(const Implementation& row, const std::string& input_class);

}  // namespace ssim::verify
