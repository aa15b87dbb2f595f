// SPDX-License-Identifier: MIT
// The oracle and the comparison on a card, for problems that the host would take too long for. Plain fp64 kernels, one
// thread a position, 121 taps from global memory: 605 + 363 FMA an element. Checked against the CPU's in test_oracle.
#pragma once

#include <cstdint>

#include "compare.hpp"
#include "kernels/ssim.hpp"

namespace ssim::verify::cuda {

struct Answer {
  double mean = 0, loss = 0;
};

/// Bytes of scratch that oracle() needs.
std::int64_t oracle_scratch_bytes(const Problem& problem);

/// Device memory throughout; gradient has one double an element, scratch as above. Synchronises. Throws
/// std::runtime_error with the runtime's message.
Answer oracle(const Problem& problem, const float* x, const float* y, double* gradient, void* scratch);

Comparison compare(const Problem& problem, const float* got, const double* want, double scale, double limit);
Size size_of(const double* values, std::int64_t count);
std::uint64_t fingerprint(const float* values, std::int64_t count);

/// Images of class `uniform`, the bits of make_images(): the host takes seconds for a thousand million pixels. Does not
/// synchronise; the default stream.
void uniform_images(std::uint64_t seed, std::int64_t count, float* x, float* y);

}  // namespace ssim::verify::cuda
