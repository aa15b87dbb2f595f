// SPDX-License-Identifier: MIT
// Randomness as a hash of (seed, stream, index): a value does not depend on the order in which others are made, so that
// threads, and a card, can share the work and give the same bits.
#pragma once

#include <cstdint>

namespace ssim::verify {

/// Increment and finaliser of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014).
inline constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;
constexpr std::uint64_t finalise(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
constexpr std::uint64_t mix(std::uint64_t z) { return finalise(z + kGolden); }

/// A number of [0, 1), a pure function of its arguments.
constexpr double uniform_at(std::uint64_t seed, std::uint64_t index) {
  return static_cast<double>(mix(seed ^ mix(index)) >> 11) * 0x1p-53;
}

/// The same from one of many streams of a seed.
constexpr double uniform_at(std::uint64_t seed, std::uint64_t stream, std::uint64_t index) {
  return uniform_at(mix(seed) ^ mix(stream + 77), index);
}

/// The streams of the two images of class `uniform`, whose index is that of the pixel in its tensor.
inline constexpr std::uint64_t kUniformX = 1, kUniformY = 2;

}  // namespace ssim::verify
