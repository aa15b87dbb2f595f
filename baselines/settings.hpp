// SPDX-License-Identifier: MIT
// How LibTorch is set up before its rows are timed, and what it says of itself. Every function may be called in a build
// without LibTorch, where it does nothing.
#pragma once

#include <cstdint>
#include <string>

namespace ssim::baselines {

/// `best`: what someone who tunes would choose (cudnn.benchmark on). `stock`: what a plain import gives. In both,
/// TF32 is off, because the published comparison is one of fp32 arithmetic. The CPU's allocator is the process's
/// own affair (mallopt), so it is set by whoever owns main().
enum class Settings { best, stock };

void apply_settings(Settings settings);

/// LibTorch's version, e.g. "2.11.0"; "" without LibTorch.
std::string torch_version();

/// Whether LibTorch is there and can run CUDA tensors in this build.
bool torch_has_cuda();

/// Threads that LibTorch's CPU operators use now; 0 without LibTorch.
int torch_threads();

/// Gives memory that LibTorch's CUDA allocator holds but does not use back to the driver.
void release_cached_memory();

/// How often the gradient of a LibTorch row had to be copied to the caller because autograd left it elsewhere
/// (gradient_into.hpp). Anything but 0 means that their training is handicapped.
std::int64_t gradients_copied();

}  // namespace ssim::baselines
