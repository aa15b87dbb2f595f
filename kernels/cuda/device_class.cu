// SPDX-License-Identifier: MIT
#include "device_class.hpp"

#include "primitives_tensor.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {

DeviceClass device_class() { return {compute_capability(), multiprocessors()}; }

}  // namespace ssim::SSIM_CUDA_NAMESPACE
