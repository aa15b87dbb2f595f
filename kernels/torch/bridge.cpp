// SPDX-License-Identifier: MIT
#include "bridge.hpp"

#include <ATen/Context.h>

#include <atomic>

namespace ssim::torch_bridge {
namespace {

std::atomic<std::int64_t> copied = 0;

}  // namespace

void deliver(const at::Tensor& gradient, const Arguments& arguments, const Problem& problem, at::Device device) {
  if (gradient.const_data_ptr() == arguments.grad_x) return;
  wrap_images(arguments.grad_x, problem, device).copy_(gradient);
  ++copied;
}

std::int64_t copies() { return copied; }

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
