// SPDX-License-Identifier: MIT
// fp16 arithmetic by its bits, for compilers without the type. IEEE 754 binary16, rounding to nearest even.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ssim::cuda_emulated::emulation {

/// Exact.
inline double from_half(std::uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  double magnitude;
  if (exponent == 31) {
    magnitude = fraction ? std::nan("") : HUGE_VAL;
  } else {
    magnitude = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
  }
  return h & 0x8000 ? -magnitude : magnitude;
}

/// One rounding of a double.
inline std::uint16_t to_half(double value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return 0x7fff;
  if (magnitude >= 65520.0) return sign | 0x7c00;  // the midpoint above the largest, 65504, rounds up
  if (magnitude < 0x1p-25) return sign;
  int exponent;
  std::frexp(magnitude, &exponent);  // magnitude in [2^(exponent - 1), 2^exponent)
  const int unit = exponent - 11 > -24 ? exponent - 11 : -24;
  const auto steps = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  // A carry out of the fraction runs into the exponent, as it must.
  const std::uint32_t bits = unit == -24 ? steps : ((static_cast<std::uint32_t>(unit + 24) << 10) + steps);
  return static_cast<std::uint16_t>(sign | bits);
}

/// a * b + c with one rounding: the sum is rounded to odd as a double first, which the second rounding cannot notice
/// (Boldo, Melquiond, IEEE TC 57(4), 2008).
inline std::uint16_t fma_half(std::uint16_t a, std::uint16_t b, std::uint16_t c) {
  const double p = from_half(a) * from_half(b), q = from_half(c);  // exact
  double sum = p + q;
  const double t = sum - p, error = (p - (sum - t)) + (q - t);
  if (error != 0 && std::isfinite(sum) && (std::bit_cast<std::uint64_t>(sum) & 1) == 0) {
    sum = std::nextafter(sum, error > 0 ? HUGE_VAL : -HUGE_VAL);
  }
  return to_half(sum);
}

}  // namespace ssim::cuda_emulated::emulation
