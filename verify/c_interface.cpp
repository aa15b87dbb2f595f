// SPDX-License-Identifier: MIT
// Inputs, oracle and tolerances, callable from Python by ctypes: for verify/check_python.py.
#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "inputs.hpp"
#include "oracle.hpp"
#include "tolerance.hpp"

#define SSIM_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using namespace ssim;

Problem problem_of(const std::int64_t* shape, int padding) {
  return {.batch = shape[0],
          .channels = shape[1],
          .height = shape[2],
          .width = shape[3],
          .padding = static_cast<Padding>(padding)};
}

// nullptr, or what went wrong.
template <typename Body>
const char* guarded(const Body& body) {
  thread_local std::string message;
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    message = error.what();
    return message.c_str();
  }
}

}  // namespace

/// Name of input class i; nullptr behind the last.
SSIM_EXPORT const char* ssim_verify_class(int i) {
  const auto& all = verify::input_classes();
  return i >= 0 && static_cast<std::size_t>(i) < all.size() ? all[static_cast<std::size_t>(i)].name : nullptr;
}

/// The pair of the class into x and y. shape: four sizes. padding: 0 same, 1 valid.
SSIM_EXPORT const char* ssim_verify_images(const char* input_class, std::uint64_t seed, const std::int64_t* shape,
                                           int padding, float* x, float* y) {
  return guarded([&] {
    const verify::ImagePair pair = verify::make_images(problem_of(shape, padding), input_class, seed);
    std::copy(pair.x.begin(), pair.x.end(), x);
    std::copy(pair.y.begin(), pair.y.end(), y);
  });
}

/// Mean, and its gradient to x.
SSIM_EXPORT const char* ssim_verify_oracle(const std::int64_t* shape, int padding, const float* x, const float* y,
                                           double* mean, double* gradient) {
  return guarded([&] {
    const verify::OracleAnswer answer = verify::oracle(problem_of(shape, padding), x, y);
    *mean = answer.mean;
    std::copy(answer.grad_x.begin(), answer.grad_x.end(), gradient);
  });
}

/// What a function of the published formula that returns an fp32 scalar may be off: mean, position, gradient,
/// gradient_unit, peak (0 or 1), as in tolerance.hpp.
SSIM_EXPORT const char* ssim_verify_tolerance(const char* input_class, double* five) {
  return guarded([&] {
    Implementation row;
    row.basis = Basis::classic;
    row.mean_is_fp32 = true;
    const verify::Tolerance t = verify::tolerance(row, input_class);
    const double all[] = {t.mean, t.position, t.gradient, t.gradient_unit, t.peak ? 1.0 : 0.0};
    std::copy(std::begin(all), std::end(all), five);
  });
}
