// SPDX-License-Identifier: MIT
// Element by element: worst error, where it is, and corner, edge and interior apart. NaN is an infinite error.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/ssim.hpp"
#include "random.hpp"

namespace ssim::verify {

struct Comparison {
  double worst = 0;                           // largest |got - scale * want|; infinite where got is NaN or infinite
  std::int64_t index = -1;                    // its flat index (the lowest of several)
  double got = 0, want = 0;                   // the two values there, want scaled
  double corner = 0, edge = 0, interior = 0;  // the worst of each region
  std::int64_t exceeding = 0;                 // elements with !(error <= limit)
};

/// got against scale * want over the elements of the problem, in host memory.
Comparison compare(const Problem& problem, const float* got, const double* want, double scale, double limit);

/// Region of a position: within 10 pixels (twice the window's reach) of the border its gradient feels the padding.
enum class Region { corner, edge, interior };
constexpr Region region(const Problem& problem, std::int64_t row, std::int64_t column) {
  constexpr std::int64_t reach = 2 * kHalo;
  const bool near_row = row < reach || row >= problem.height - reach;
  const bool near_column = column < reach || column >= problem.width - reach;
  return near_row && near_column ? Region::corner : near_row || near_column ? Region::edge : Region::interior;
}

/// "plane 3, row 0, column 17 (edge)" for messages.
std::string place(const Problem& problem, std::int64_t index);

struct Size {
  double squares = 0;  // sum of the squares, in a fixed order
  double peak = 0;     // largest absolute value
};
Size size_of(const double* values, std::int64_t count);

/// Whether both have the same bits; NaN equals itself, and 0 is not -0.
bool same_bits(std::span<const float> a, std::span<const float> b);

/// A hash of the bits of `count` floats; any change of one of them changes it.
std::uint64_t fingerprint(const float* values, std::int64_t count);

/// The part of a fingerprint that comes from one float; they are added up, so order of evaluation does not matter.
constexpr std::uint64_t fingerprint_of(std::uint32_t bits, std::int64_t index) {
  return finalise((static_cast<std::uint64_t>(index) * kGolden) ^ bits);
}

}  // namespace ssim::verify
