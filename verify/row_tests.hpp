// SPDX-License-Identifier: MIT
// Walks rows for tests: one test per row and case, cases shared between rows, one visible skip per row, mode and
// padding where the device is not there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "memory.hpp"
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

/// What a call gave.
struct Result {
  double mean = 0;
  std::vector<float> gradient;  // empty in infer
};
/// The same bits, NaN included.
bool same_bits(const Result& a, const Result& b);

/// A row, a problem and guarded memory of its own for one call after another: images, outputs, an initialised workspace
/// of exactly the size asked for. On the device that is current when it is made.
class PreparedCall {
 public:
  /// Throws std::bad_alloc where memory does not suffice, std::runtime_error where the device fails.
  PreparedCall(const Implementation& row, const Problem& problem, Mode mode);
  /// Images of the problem's shape, in host memory, and what multiplies the gradient. Synchronises.
  void upload(const std::vector<float>& x, const std::vector<float>& y, float weight = 1.0f);
  /// Fills the outputs with NaN and the workspace behind its control block with that byte. Synchronises.
  void poison(unsigned char workspace_byte = 0xFF);
  /// What the row is given, on the default stream.
  Arguments arguments() const;
  /// Calls the row; does not wait for the device.
  Status start(void* stream = nullptr, int threads = 0) const;
  /// What the last call that is through has left.
  Result result() const;
  double mean() const;
  /// Device memory, for problems that are too large to pass through the host.
  float* x() const { return x_.as<float>(); }
  float* y() const { return y_.as<float>(); }
  const float* gradient() const { return gradient_.as<const float>(); }
  void set_weight(float weight) { weight_.upload(&weight); }
  /// "", or what calls have done to memory that is not their own, or have left in the control block.
  std::string damage() const;

 private:
  const Implementation& row_;
  Problem problem_;
  Mode mode_;
  Memory x_, y_, mean_, gradient_, weight_, workspace_;
};

/// A call of a row in guarded memory, for tests of properties. Throws std::runtime_error where the call fails.
Result run_row(const Implementation& row, const Problem& problem, Mode mode, const std::vector<float>& x,
               const std::vector<float>& y, float weight = 1.0f, int threads = 0);

}  // namespace ssim::verify
