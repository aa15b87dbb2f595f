// SPDX-License-Identifier: MIT
// The check that stands before every timing and behind every accuracy test: one row, one problem, against the oracle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "inputs.hpp"
#include "kernels/implementation.hpp"

namespace ssim::verify {

/// Bytes by which base pointers are off 256-byte alignment: one number for all, or for each its own, which is written
/// kApart | gradient << 8 | y << 4 | x.
inline constexpr std::int64_t kApart = 0x1000;
enum class Base { x = 0, y = 4, gradient = 8 };
constexpr std::int64_t offset_of(std::int64_t offset, Base base) {
  return offset < kApart ? offset : offset >> static_cast<int>(base) & 15;
}

/// A problem with its images in the device's memory and the oracle's answer beside them. The oracle runs when the
/// answer is first needed and once; all rows of the device share it.
class Case {
 public:
  /// input_class: a name from inputs.hpp. offset: of the base pointers (above).
  Case(Device device, const Problem& problem, const std::string& input_class, std::uint64_t seed,
       std::int64_t offset = 0);
  /// Images that are given, to be held to the tolerance of `input_class`. `test` is the name that repeats the case;
  /// `range`: of the images, as a multiple of the data range. Gradients are that much smaller, and so is their unit.
  Case(Device device, const Problem& problem, const ImagePair& images, const std::string& input_class,
       const std::string& test, double range = 1);
  ~Case();
  Case(Case&&) noexcept;

  const Problem& problem() const;
  Device device() const;
  const std::string& input_class() const;
  std::uint64_t seed() const;
  std::int64_t offset() const;
  const float* x() const;  // device memory
  const float* y() const;
  /// The test that it is made for; "" where case_name() names it.
  const std::string& test() const;
  void set_test(const std::string& test);  // rows share a case, and each test of them has a name of its own

  struct State;
  State& state() const { return *state_; }

 private:
  void allocate(Device device, const Problem& problem, std::int64_t offset);
  void fill(Device device, const Problem& problem, const ImagePair& images, std::int64_t offset);
  void note_fingerprints();
  std::unique_ptr<State> state_;
};

/// What a case is made from, but for its seed.
struct CaseSpec {
  Problem problem;
  std::string input_class;
  std::int64_t offset = 0;
};

/// "device:row:mode:padding:BxCxHxW/class/seed", and "/offset" where that is not 0: the name of its accuracy test.
std::string case_name(const Implementation& row, const Case& problem_case, Mode mode);

/// What a comparison came to. Errors are worst over all elements; NaN counts as infinite. The unit of a gradient is its
/// RMS, root of the sum of squares / positions counted: with `valid` the border, which few windows reach and which in a
/// row of windows is most of the image, does not make it smaller. Where input_class is `local` it is the largest
/// element, where the gradient is zero 1 / positions counted.
struct Verdict {
  bool ok = false;
  /// Which part of the check it failed: "call" (refused, or the device reports an error), "memory", "mean", "gradient",
  /// "repeat"; "" when ok.
  const char* failed = "";
  std::string message;    // "" when ok; else what was wrong, where, by how much, and the command that repeats it
  double mean_error = 0;  // |mean - oracle|
  double mean_share = 0, gradient_share = 0;  // the errors of mean and gradient, as parts of what is allowed
  double loss_error = 0;                      // the same relative to 1 - SSIM
  double gradient_error = 0;                  // train: worst |g - oracle| in units of the oracle's gradient (below)
  double gradient_unit_error = 0;             // the same in units of 1 / (positions counted)
  double gradient_corner = 0, gradient_edge = 0, gradient_interior = 0;  // the same, by region
  std::int64_t worst = -1;                                               // flat index of the worst gradient element
};

/// Runs the row twice in guarded, NaN-poisoned buffers: outputs against the oracle to the tolerance of (row, class),
/// both runs bitwise equal, inputs unchanged, guard bands intact, control block zero.
Verdict verify_row(const Implementation& row, const Case& problem_case, Mode mode);

}  // namespace ssim::verify
