// SPDX-License-Identifier: MIT
// Between the contract (raw pointers, a stream, a Status) and LibTorch (tensors, a current stream, exceptions): what
// every row that is written with LibTorch needs.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <exception>
#include <new>
#include <optional>

#include "kernels/implementation.hpp"

#if SSIM_TORCH_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace ssim::torch_bridge {

/// The LibTorch device that a row's pointers belong to: CUDA means the current one.
inline at::Device torch_device(Device device) {
#if SSIM_TORCH_CUDA
  if (device == Device::cuda) return {at::kCUDA, c10::cuda::current_device()};
#endif
  return at::Device(device == Device::cuda ? at::kCUDA : at::kCPU);
}

/// A tensor around the contract's memory; no copy, no ownership.
inline at::Tensor wrap(const void* data, at::IntArrayRef sizes, at::ScalarType type, at::Device device) {
  return at::for_blob(const_cast<void*>(data), sizes)
      .options(at::TensorOptions().dtype(type).device(device))
      .target_device(device)
      .make_tensor();
}

inline at::Tensor wrap_images(const float* data, const Problem& p, at::Device device) {
  return wrap(data, {p.batch, p.channels, p.height, p.width}, at::kFloat, device);
}

/// While it lives: grad mode as the mode needs it, the call's stream is LibTorch's current one, and LibTorch uses the
/// call's threads.
class CallScope {
 public:
  CallScope(Device device, const Arguments& arguments, Mode mode) : grad_mode_(mode == Mode::train) {
    if (arguments.threads > 0 && device == Device::cpu && arguments.threads != at::get_num_threads()) {
      at::set_num_threads(arguments.threads);
    }
#if SSIM_TORCH_CUDA
    if (device == Device::cuda) {
      stream_.emplace(arguments.stream ? c10::cuda::getStreamFromExternal(static_cast<cudaStream_t>(arguments.stream),
                                                                          c10::cuda::current_device())
                                       : c10::cuda::getDefaultCUDAStream());
    }
#endif
  }

 private:
  at::AutoGradMode grad_mode_;
#if SSIM_TORCH_CUDA
  std::optional<c10::cuda::CUDAStreamGuard> stream_;
#endif
};

/// body() returns a Status; what it throws becomes one.
template <typename Body>
Status without_exceptions(const char* row, const Body& body) noexcept {
  try {
    return body();
  } catch (const c10::OutOfMemoryError& error) {
    return Status::error(Status::Code::device_error, "%s: out of device memory: %s", row,
                         error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return Status::error(Status::Code::device_error, "%s: LibTorch: %s", row, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return Status::error(Status::Code::device_error, "%s: out of memory", row);
  } catch (const std::exception& error) {
    return Status::error(Status::Code::device_error, "%s: %s", row, error.what());
  }
}

/// Brings what autograd returned to the contract's grad_x if it does not lie there already, which it should: a copy of
/// 8 bytes an element is no part of a training step. copies() counts the times when it did not.
void deliver(const at::Tensor& gradient, const Arguments& arguments, const Problem& problem, at::Device device);
std::int64_t copies();

/// "" where LibTorch can run on the device in this build, else why not.
std::string runs_on(Device device);

}  // namespace ssim::torch_bridge
