// SPDX-License-Identifier: MIT
// The oracle: mean SSIM, its map and its gradients in fp64 by the direct two-dimensional window.
//
// It shares nothing with kernels/ but the Problem struct: its own window (computed, not tabled), not separable, the
// published formula with five moments, and the gradient as in Wang & Simoncelli, "Maximum differentiation (MAD)
// competition", J. Vision 8(12), 2008, eq. for the gradient of the mean SSIM:
//     A1 = 2 mx my + C1, A2 = 2 sxy + C2, B1 = mx^2 + my^2 + C1, B2 = sxx + syy + C2, S = A1 A2 / (B1 B2)
//     dS/dx_j = 2 w_j / (B1 B2)^2 * [A1 B1 (B2 y_j - A2 x_j) + B1 B2 (A2 - A1) my + A1 A2 (B1 - B2) mx]
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/ssim.hpp"

namespace ssim::verify {

/// What oracle() is asked for besides the mean.
struct OracleWants {
  bool grad_x = true, grad_y = false, map = false;
};

struct OracleAnswer {
  double mean = 0;
  double loss = 0;             // 1 - mean, summed as such
  std::vector<double> grad_x;  // d mean / d x, the shape of x
  std::vector<double> grad_y;
  std::vector<double> map;  // SSIM of every position, the shape of x; 0 where a position does not count
};

/// x, y: host memory, contiguous. Uses all cores this process may run on. Cost: 605 fp64 FMA an element, 363 more for
/// one gradient, 484 for both.
OracleAnswer oracle(const Problem& problem, const float* x, const float* y, const OracleWants& wants = {});

/// The same for images in fp64, for central differences.
OracleAnswer oracle(const Problem& problem, const double* x, const double* y, const OracleWants& wants = {});

/// Weight of the window at (row, column), each 0 to 10.
double oracle_weight(int row, int column);

}  // namespace ssim::verify
