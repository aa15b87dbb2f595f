// SPDX-License-Identifier: MIT
// The operator's schemas and its implementations below autograd: CPU, CUDA, and meta (shapes alone).
//
// Cost beside the kernel: an allocation for the workspace and one for each result, zeroing 256 bytes of workspace, and
// on CUDA one scalar kernel that rounds the fp64 mean.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <torch/library.h>

#include "checks.hpp"
#include "fused_ssim.hpp"
#include "gradient_buffer.hpp"

#if SSIM_TORCH_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "bridge.hpp"
#endif

namespace ssim {
namespace op {

thread_local float* gradient_buffer = nullptr;

namespace {

using Pair = std::tuple<at::Tensor, at::Tensor>;

void raise(const Status& status) {
  if (status) return;
  TORCH_CHECK_VALUE(status.code != Status::Code::invalid_argument, "fused_ssim: ", status.message);
  TORCH_CHECK_NOT_IMPLEMENTED(status.code != Status::Code::unsupported, "fused_ssim: ", status.message);
  TORCH_CHECK(false, "fused_ssim: ", status.message);
}

at::Tensor allocate_gradient(const at::Tensor& img1) {
  const at::TensorOptions options = img1.options().requires_grad(false).memory_format(at::MemoryFormat::Contiguous);
  if (!gradient_buffer) return at::empty(img1.sizes(), options);
  return at::for_blob(gradient_buffer, img1.sizes()).options(img1.options()).target_device(img1.device()).make_tensor();
}

// Workspace from LibTorch's allocator, aligned by hand: on the CPU that aligns to 64 bytes alone. `extra` bytes more
// lie behind it.
struct Workspace {
  at::Tensor memory;
  char* begin;
  std::int64_t bytes;

  Workspace(Device device, const Problem& problem, Mode mode, const at::Tensor& like, std::int64_t extra,
            void* stream) {
    bytes = workspace_bytes(device, problem, mode);
    if (bytes < 0) raise(check(problem));
    const std::int64_t padded = (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
    memory = at::empty({padded + extra + kWorkspaceAlignment}, like.options().requires_grad(false).dtype(at::kByte));
    const auto address = reinterpret_cast<std::uintptr_t>(memory.mutable_data_ptr());
    begin = reinterpret_cast<char*>((address + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment);
    if (bytes > 0) raise(init_workspace(device, begin, bytes, stream));
  }
  void* behind() const { return begin + (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment; }
};

at::Tensor run_cpu(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, at::Tensor* gradient) {
  const Problem problem = problem_of(img1, check_inputs(img1, img2, padding));
  const Mode mode = gradient ? Mode::train : Mode::infer;
  const at::Tensor x = img1.contiguous(), y = img2.contiguous();
  const Workspace workspace(Device::cpu, problem, mode, x, 0, nullptr);
  if (gradient) *gradient = allocate_gradient(img1);
  double mean = 0;
  const Arguments arguments{.x = x.const_data_ptr<float>(),
                            .y = y.const_data_ptr<float>(),
                            .mean = &mean,
                            .grad_x = gradient ? gradient->mutable_data_ptr<float>() : nullptr,
                            .workspace = workspace.begin,
                            .workspace_bytes = workspace.bytes,
                            .threads = at::get_num_threads()};
  raise(gradient ? value_and_grad(Device::cpu, problem, arguments) : value(Device::cpu, problem, arguments));
  at::Tensor result = at::empty({}, x.options().requires_grad(false));
  *result.mutable_data_ptr<float>() = static_cast<float>(mean);
  return result;
}

at::Tensor value_cpu(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool /*train*/) {
  return run_cpu(img1, img2, padding, nullptr);
}

Pair value_and_grad_cpu(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding) {
  at::Tensor gradient;
  at::Tensor result = run_cpu(img1, img2, padding, &gradient);
  return {std::move(result), std::move(gradient)};
}

#if SSIM_TORCH_CUDA
at::Tensor run_cuda(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, at::Tensor* gradient) {
  const Problem problem = problem_of(img1, check_inputs(img1, img2, padding));
  const c10::cuda::CUDAGuard guard(img1.device());
  const Mode mode = gradient ? Mode::train : Mode::infer;
  const at::Tensor x = img1.contiguous(), y = img2.contiguous();
  void* stream = c10::cuda::getCurrentCUDAStream().stream();
  const Workspace workspace(Device::cuda, problem, mode, x, sizeof(double), stream);
  if (gradient) *gradient = allocate_gradient(img1);
  const Arguments arguments{.x = x.const_data_ptr<float>(),
                            .y = y.const_data_ptr<float>(),
                            .mean = static_cast<double*>(workspace.behind()),
                            .grad_x = gradient ? gradient->mutable_data_ptr<float>() : nullptr,
                            .workspace = workspace.begin,
                            .workspace_bytes = workspace.bytes,
                            .stream = stream};
  raise(gradient ? value_and_grad(Device::cuda, problem, arguments) : value(Device::cuda, problem, arguments));
  return torch_bridge::wrap(arguments.mean, {}, at::kDouble, img1.device()).to(at::kFloat);
}

at::Tensor value_cuda(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool /*train*/) {
  return run_cuda(img1, img2, padding, nullptr);
}

Pair value_and_grad_cuda(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding) {
  at::Tensor gradient;
  at::Tensor result = run_cuda(img1, img2, padding, &gradient);
  return {std::move(result), std::move(gradient)};
}
#endif

at::Tensor value_meta(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool /*train*/) {
  check_inputs(img1, img2, padding);
  return at::empty({}, img1.options().requires_grad(false));
}

Pair value_and_grad_meta(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding) {
  check_inputs(img1, img2, padding);
  const at::TensorOptions options = img1.options().requires_grad(false).memory_format(at::MemoryFormat::Contiguous);
  return {at::empty({}, options), at::empty_symint(img1.sym_sizes(), options)};
}

// Devices and layouts without an implementation of their own: the checks name what is wrong with them.
at::Tensor value_elsewhere(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool /*train*/) {
  check_inputs(img1, img2, padding);
  TORCH_CHECK_NOT_IMPLEMENTED(false, "fused_ssim: img1 is on device ", img1.device(),
                              "; this build of fused_ssim has no code for it: " SSIM_TORCH_LACKS_CUDA);
}

Pair value_and_grad_elsewhere(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding) {
  return {value_elsewhere(img1, img2, padding, true), at::Tensor()};
}

}  // namespace
}  // namespace op

at::Tensor fused_ssim(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool train) {
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("ssim::fused_ssim", "")
                                 .typed<at::Tensor(const at::Tensor&, const at::Tensor&, c10::string_view, bool)>();
  return handle.call(img1, img2, padding, train);
}

std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding) {
  static const auto handle = c10::Dispatcher::singleton()
                                 .findSchemaOrThrow("ssim::fused_ssim_with_grad", "")
                                 .typed<op::Pair(const at::Tensor&, const at::Tensor&, c10::string_view)>();
  return handle.call(img1, img2, padding);
}

}  // namespace ssim

TORCH_LIBRARY(ssim, library) {
  library.def("fused_ssim(Tensor img1, Tensor img2, str padding=\"same\", bool train=True) -> Tensor",
              {at::Tag::pt2_compliant_tag});
  library.def("fused_ssim_with_grad(Tensor img1, Tensor img2, str padding=\"same\") -> (Tensor, Tensor)",
              {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(ssim, CPU, library) {
  library.impl("fused_ssim", ssim::op::value_cpu);
  library.impl("fused_ssim_with_grad", ssim::op::value_and_grad_cpu);
}

#if SSIM_TORCH_CUDA
TORCH_LIBRARY_IMPL(ssim, CUDA, library) {
  library.impl("fused_ssim", ssim::op::value_cuda);
  library.impl("fused_ssim_with_grad", ssim::op::value_and_grad_cuda);
}
#endif

TORCH_LIBRARY_IMPL(ssim, Meta, library) {
  library.impl("fused_ssim", ssim::op::value_meta);
  library.impl("fused_ssim_with_grad", ssim::op::value_and_grad_meta);
}

TORCH_LIBRARY_IMPL(ssim, CompositeExplicitAutograd, library) {
  library.impl("fused_ssim", ssim::op::value_elsewhere);
  library.impl("fused_ssim_with_grad", ssim::op::value_and_grad_elsewhere);
}
