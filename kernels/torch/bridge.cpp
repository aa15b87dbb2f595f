// SPDX-License-Identifier: MIT
#include "bridge.hpp"

#include <ATen/Context.h>

namespace ssim::torch_bridge {

std::string runs_on(Device device) {
  if (device == Device::cpu) return "";
  if (device != Device::cuda) return "LibTorch has no such device";
#if SSIM_TORCH_CUDA
  return at::hasCUDA() ? "" : "LibTorch sees no CUDA device";
#else
  return SSIM_TORCH_HAS_CUDA ? "built without the CUDA toolkit" : "this LibTorch is a CPU-only build";
#endif
}

}  // namespace ssim::torch_bridge
