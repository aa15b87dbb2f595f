// SPDX-License-Identifier: MIT
// The operator on the CPU, and what the devices share.
//
// Cost beside the kernel: three allocations.
#include "implementation.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include "checks.hpp"
#include "switches.hpp"

namespace ssim::op {

Switches& switches() {
  thread_local Switches own;
  return own;
}

void raise(const Status& status) {
  if (status) return;
  TORCH_CHECK_VALUE(status.code != Status::Code::invalid_argument, "fused_ssim: ", status.message);
  TORCH_CHECK_NOT_IMPLEMENTED(status.code != Status::Code::unsupported, "fused_ssim: ", status.message);
  TORCH_CHECK(false, "fused_ssim: ", status.message);
}

at::Tensor lent_gradient(const at::Tensor& img1) {
  if (!switches().gradient_buffer) return {};
  const at::Device device = img1.device();
  auto blob = at::for_blob(switches().gradient_buffer, img1.sizes());
  blob.options(at::TensorOptions().dtype(at::kFloat).device(device)).target_device(device);
  if (c10::memoryProfilingEnabled()) {
    // Whoever counts memory is told of it as if it had been allocated, which it is in a training loop.
    const std::int64_t bytes = img1.numel() * static_cast<std::int64_t>(sizeof(float));
    c10::reportMemoryUsageToProfiler(switches().gradient_buffer, bytes, 0, 0, device);
    blob.deleter([=](void* memory) { c10::reportMemoryUsageToProfiler(memory, -bytes, 0, 0, device); });
  }
  return blob.make_tensor();
}

at::Tensor run_cpu(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight& weight,
                   at::Tensor* gradient) {
  const Problem problem = problem_of(img1, check_inputs(img1, img2, padding));
  if (weight.tensor) check_weight(*weight.tensor, img1);
  const Mode mode = gradient ? Mode::train : Mode::infer;
  const at::Tensor x = img1.contiguous(), y = img2.contiguous();
  const std::int64_t bytes = workspace_bytes(Device::cpu, problem, mode);
  if (bytes < 0) raise(check(problem));
  // Aligned by hand: LibTorch aligns to 64 bytes.
  const at::DataPtr memory = c10::GetCPUAllocator()->allocate(static_cast<std::size_t>(bytes + kWorkspaceAlignment));
  const auto address = reinterpret_cast<std::uintptr_t>(memory.get());
  void* workspace = static_cast<char*>(memory.get()) + (-address % kWorkspaceAlignment);
  if (bytes > 0) raise(init_workspace(Device::cpu, workspace, bytes));
  if (gradient) {
    *gradient = lent_gradient(img1);
    if (!gradient->defined()) *gradient = at::detail::empty_cpu(img1.sizes(), at::kFloat);
  }
  double mean = 0;
  const Arguments arguments{
      .x = x.const_data_ptr<float>(),
      .y = y.const_data_ptr<float>(),
      .weight = weight.tensor ? weight.tensor->const_data_ptr<float>() : &weight.number,
      .mean = &mean,
      .grad_x = gradient ? gradient->mutable_data_ptr<float>() : nullptr,
      .workspace = workspace,
      .workspace_bytes = bytes,
      .threads = at::get_num_threads(),
  };
  raise(gradient ? value_and_grad(Device::cpu, problem, arguments) : value(Device::cpu, problem, arguments));
  at::Tensor result = at::detail::empty_cpu({}, at::kFloat);
  *result.mutable_data_ptr<float>() = static_cast<float>(mean);
  return result;
}

}  // namespace ssim::op
