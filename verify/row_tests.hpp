// SPDX-License-Identifier: MIT
// Walks rows for tests: one test per row and case, cases shared between rows, one visible skip per row, mode and
// padding where the device is not there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "test_main.hpp"

namespace ssim::verify {

/// "" if rows of the device can run and SUITE_DEVICE (cpu, cuda, cuda-emulated; auto or unset = all) wants them, else
/// the reason.
std::string cannot_run(Device device);

/// The case, made when it is first asked for; the last few of each device are kept, so ask for the same one in a row.
const Case& shared_case(Device device, const CaseSpec& spec, std::uint64_t seed);

/// For every row of all_rows() x mode x padding: `body(row, mode, padding)` in a test "suite.device:row:mode:padding".
/// Rows of an absent device become one skipped test each.
void each_row_mode_padding(Registrar& registrar, const std::string& suite,
                           const std::function<void(const Implementation&, Mode, Padding)>& body);

/// Modes, for loops.
inline constexpr Mode kModes[] = {Mode::infer, Mode::train};
inline constexpr Padding kPaddings[] = {Padding::same, Padding::valid};

/// A call of a row in guarded memory, for tests of properties. Throws std::runtime_error where the call fails.
struct Result {
  double mean = 0;
  std::vector<float> gradient;  // empty in infer
};
Result run_row(const Implementation& row, const Problem& problem, Mode mode, const std::vector<float>& x,
               const std::vector<float>& y, float weight = 1.0f, int threads = 0);

}  // namespace ssim::verify
