// SPDX-License-Identifier: MIT
// Random problems for rows, and the smallest one that still goes wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "row_tests.hpp"

namespace ssim::verify {

struct RandomCase {
  CaseSpec spec;
  Mode mode = Mode::infer;
  std::uint64_t seed = 1;  // of the images
};

/// How large a row's problems may be, so that it gets through hundreds of them in a minute.
std::int64_t most_elements(const Implementation& row);

/// A pure function of its arguments: sizes spread over orders of magnitude and heaped around multiples of 16 and 128,
/// any class, padding and mode, base pointers off by 0, 4, 8 or 12 bytes.
RandomCase draw_case(std::uint64_t seed, std::int64_t elements);

/// "" if the row refuses the problem in words or is right, else which part of the check failed (Verdict::failed);
/// *message gets the verdict's, with the command that repeats it.
std::string failure(const Implementation& row, const RandomCase& one, std::string* message);

/// Makes sizes, offset and class simpler as long as fails() stays true, for at most so many attempts.
RandomCase minimise(RandomCase one, const std::function<bool(const RandomCase&)>& fails, int attempts = 400);

}  // namespace ssim::verify
