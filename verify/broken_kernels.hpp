// SPDX-License-Identifier: MIT
// CUDA kernels that are wrong on purpose, one for each thing that the emulation must find.
#pragma once

#include <string>
#include <vector>

#include "kernels/ssim.hpp"

namespace ssim::verify {

struct BrokenKernel {
  std::string name;
  std::string mistake;  // what is wrong, for readers
  std::string message;  // ECMAScript regular expression that the launch's message must match somewhere
  Status (*run)();
};

/// All of them, those of primitives_tensor.cuh apart. Each run() launches its kernel in the emulation.
const std::vector<BrokenKernel>& broken_kernels();
const std::vector<BrokenKernel>& broken_tensor_kernels();

/// Kernels that are right, one per primitive, each compared with plain loops: "" or what differed.
struct RightKernel {
  std::string name;
  std::string (*run)();
};
const std::vector<RightKernel>& right_kernels();
const std::vector<RightKernel>& right_tensor_kernels();
/// The same of how tensor_train divides its work.
std::string test_plans();

/// Mistakes that change the result rather than end the launch: whether the result was changed.
struct VisibleMistake {
  std::string name;
  std::string mistake;
  bool (*shows)();
};
const std::vector<VisibleMistake>& visible_mistakes();
const std::vector<VisibleMistake>& visible_tensor_mistakes();

}  // namespace ssim::verify
