// SPDX-License-Identifier: MIT
#include "settings.hpp"

#if SSIM_WITH_TORCH
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include "kernels/torch/bridge.hpp"
#if SSIM_TORCH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif
#endif

namespace ssim::baselines {

#if SSIM_WITH_TORCH

void apply_settings(Settings settings) {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuDNN(false);
  context.setAllowTF32CuBLAS(false);
  context.setBenchmarkCuDNN(settings == Settings::best);
}

std::string torch_version() { return TORCH_VERSION; }

bool torch_has_cuda() { return SSIM_TORCH_CUDA && at::hasCUDA(); }

int torch_threads() { return at::get_num_threads(); }

void release_cached_memory() {
#if SSIM_TORCH_CUDA
  if (at::hasCUDA()) c10::cuda::CUDACachingAllocator::emptyCache();
#endif
}

std::int64_t gradients_copied() { return torch_bridge::copies(); }

#else

void apply_settings(Settings) {}
std::string torch_version() { return ""; }
bool torch_has_cuda() { return false; }
int torch_threads() { return 0; }
void release_cached_memory() {}
std::int64_t gradients_copied() { return 0; }

#endif

}  // namespace ssim::baselines
