// SPDX-License-Identifier: MIT
// The little that the entry points need of the CUDA runtime: is there a card, and zeroing in stream order.
#include <cuda_runtime.h>

#include <string>

#include "../ssim.hpp"

namespace ssim::cuda {

bool available(std::string* reason) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return true;
  if (reason) *reason = error == cudaSuccess ? "no CUDA device" : cudaGetErrorString(error);
  cudaGetLastError();  // not sticky for the next call
  return false;
}

Status zero_async(void* pointer, std::int64_t bytes, void* stream) {
  const cudaError_t error =
      cudaMemsetAsync(pointer, 0, static_cast<std::size_t>(bytes), static_cast<cudaStream_t>(stream));
  if (error == cudaSuccess) return {};
  return Status::error(Status::Code::device_error, "init_workspace: %s", cudaGetErrorString(error));
}

}  // namespace ssim::cuda
