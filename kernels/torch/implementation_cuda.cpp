// SPDX-License-Identifier: MIT
// The operator on CUDA.
//
// Cost beside the kernel, on a warm stream: two allocations from LibTorch's cache. The workspace is one that stays
// (workspaces.hpp); while a CUDA graph is captured it is the graph's own, which adds an allocation and a memset.
#if SSIM_TORCH_CUDA
#include <ATen/Context.h>
#include <ATen/cuda/EmptyTensor.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <utility>

#include "checks.hpp"
#include "implementation.hpp"
#include "kernels/cuda/operator_kernels.hpp"
#include "switches.hpp"
#include "workspaces.hpp"

namespace ssim::op {
namespace {

// Never destroyed: CUDA may be gone when static objects are.
WorkspacePool& pool() {
  static auto* const pool = new WorkspacePool;
  return *pool;
}

/// A workspace for one call on the current stream, which goes back to the pool if keep() was called.
class Lease {
 public:
  Lease(const Problem& problem, Mode mode, const c10::cuda::CUDAStream& stream)
      : place_{stream.device_index(), stream.stream()} {
    const std::int64_t bytes = workspace_bytes(Device::cuda, problem, mode);
    if (bytes < 0) raise(check(problem));
    // The handle of the per-thread stream is a different stream in each thread.
    pooled_ = place_.stream != cudaStreamPerThread &&
              c10::cuda::currentStreamCaptureStatusMayInitCtx() == c10::cuda::CaptureStatus::None;
    if (pooled_) {
      if (std::optional<Workspace> kept = pool().take(place_, bytes)) {
        workspace_ = std::move(*kept);
        return;
      }
    }
    // Images may come from elsewhere: this can be the first that LibTorch hears of the device.
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    workspace_.memory = c10::cuda::CUDACachingAllocator::get()->allocate(static_cast<std::size_t>(kSlots + bytes));
    workspace_.bytes = bytes;
    if (bytes > 0) raise(init_workspace(Device::cuda, begin(), bytes, place_.stream));
  }
  ~Lease() {
    if (kept_) pool().give_back(place_, std::move(workspace_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  void* begin() const { return slots() + kSlots; }
  std::int64_t bytes() const { return workspace_.bytes; }
  double* mean() const { return reinterpret_cast<double*>(slots()); }
  /// The number on the device: written there only if another one was.
  const float* weight(float number) {
    if (number == 1) return nullptr;
    auto* const slot = reinterpret_cast<float*>(slots() + sizeof(double));
    if (workspace_.weight != number) {
      workspace_.weight.reset();
      raise(cuda::store(number, slot, place_.stream));
      workspace_.weight = number;
    }
    return slot;
  }
  /// All that uses it was enqueued.
  void keep() { kept_ = pooled_; }

 private:
  static constexpr std::int64_t kSlots = kWorkspaceAlignment;  // mean and weight lie before the workspace
  char* slots() const { return static_cast<char*>(workspace_.memory.get()); }

  Place place_;
  Workspace workspace_;
  bool pooled_ = false, kept_ = false;
};

}  // namespace

at::Tensor run_cuda(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight& weight,
                    at::Tensor* gradient) {
  const Problem problem = problem_of(img1, check_inputs(img1, img2, padding));
  if (weight.tensor) check_weight(*weight.tensor, img1);
  const c10::cuda::CUDAGuard guard(img1.device());
  const at::Tensor x = img1.contiguous(), y = img2.contiguous();
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  Lease lease(problem, gradient ? Mode::train : Mode::infer, stream);
  if (gradient) {
    *gradient = lent_gradient(img1);
    if (!gradient->defined()) {
      *gradient = at::detail::empty_cuda(img1.sizes(), at::kFloat, img1.device(), std::nullopt);
    }
  }
  const at::Tensor result = at::detail::empty_cuda({}, at::kFloat, img1.device(), std::nullopt);
  Arguments arguments{
      .x = x.const_data_ptr<float>(),
      .y = y.const_data_ptr<float>(),
      .mean = lease.mean(),
      .mean_fp32 = result.mutable_data_ptr<float>(),
      .workspace = lease.begin(),
      .workspace_bytes = lease.bytes(),
      .stream = stream.stream(),
  };
  if (gradient) {
    arguments.weight = weight.tensor ? weight.tensor->const_data_ptr<float>() : lease.weight(weight.number);
    arguments.grad_x = gradient->mutable_data_ptr<float>();
    raise(value_and_grad(Device::cuda, problem, arguments));
  } else {
    raise(value(Device::cuda, problem, arguments));
  }
  lease.keep();
  return result;
}

at::Tensor scale_cuda(const at::Tensor& gradient, const at::Tensor& factor, bool in_place) {
  const c10::cuda::CUDAGuard guard(gradient.device());
  at::Tensor result = gradient;
  if (!in_place) result = at::detail::empty_cuda(gradient.sizes(), at::kFloat, gradient.device(), std::nullopt);
  raise(cuda::scale(gradient.const_data_ptr<float>(), result.mutable_data_ptr<float>(), gradient.numel(),
                    factor.const_data_ptr<float>(), c10::cuda::getCurrentCUDAStream().stream()));
  return result;
}

void drop_workspaces() { pool().clear(); }

}  // namespace ssim::op
#else
#include "switches.hpp"

namespace ssim::op {
void drop_workspaces() {}
}  // namespace ssim::op
#endif  // SSIM_TORCH_CUDA
