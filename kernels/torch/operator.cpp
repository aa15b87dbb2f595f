// SPDX-License-Identifier: MIT
// The operator's schemas, and which function serves which dispatch key: CPU, CUDA, meta (shapes alone), the rest.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "checks.hpp"
#include "fused_ssim.hpp"
#include "implementation.hpp"

namespace ssim {
namespace op {
namespace {

using Pair = std::tuple<at::Tensor, at::Tensor>;
using Run = at::Tensor(const at::Tensor&, const at::Tensor&, c10::string_view, const Weight&, at::Tensor*);

template <Run kRun>
at::Tensor value(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool /*train*/) {
  return kRun(img1, img2, padding, {}, nullptr);
}

template <Run kRun>
Pair with_grad(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding,
               const std::optional<at::Tensor>& weight) {
  at::Tensor gradient;
  at::Tensor result = kRun(img1, img2, padding, {.tensor = weight}, &gradient);
  return {std::move(result), std::move(gradient)};
}

template <Run kRun>
Pair with_grad_number(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, double weight) {
  at::Tensor gradient;
  at::Tensor result = kRun(img1, img2, padding, {.tensor = {}, .number = check_weight(weight)}, &gradient);
  return {std::move(result), std::move(gradient)};
}

at::Tensor run_meta(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight& weight,
                    at::Tensor* gradient) {
  check_inputs(img1, img2, padding);
  if (weight.tensor) check_weight(*weight.tensor, img1);
  const at::TensorOptions options = img1.options().requires_grad(false).memory_format(at::MemoryFormat::Contiguous);
  if (gradient) *gradient = at::empty_symint(img1.sym_sizes(), options);
  return at::empty({}, options);
}

// Devices and layouts without an implementation of their own: the checks name what is wrong with them.
at::Tensor run_elsewhere(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, const Weight&,
                         at::Tensor*) {
  check_inputs(img1, img2, padding);
  TORCH_CHECK_NOT_IMPLEMENTED(false, "fused_ssim: img1 is on device ", img1.device(),
                              "; this build of fused_ssim has no code for it: " SSIM_TORCH_LACKS_CUDA);
}

template <Run kRun>
void register_all(torch::Library& library) {
  library.impl("fused_ssim", value<kRun>);
  library.impl("fused_ssim_with_grad", with_grad<kRun>);
  library.impl("fused_ssim_with_grad.number", with_grad_number<kRun>);
}

template <typename Function>
c10::TypedOperatorHandle<Function> find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Function>();
}

}  // namespace
}  // namespace op

at::Tensor fused_ssim(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool train) {
  static const auto handle =
      op::find<at::Tensor(const at::Tensor&, const at::Tensor&, c10::string_view, bool)>("ssim::fused_ssim", "");
  return handle.call(img1, img2, padding, train);
}

std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding,
                                                        const std::optional<at::Tensor>& weight) {
  static const auto handle =
      op::find<op::Pair(const at::Tensor&, const at::Tensor&, c10::string_view, const std::optional<at::Tensor>&)>(
          "ssim::fused_ssim_with_grad", "");
  return handle.call(img1, img2, padding, weight);
}

std::tuple<at::Tensor, at::Tensor> fused_ssim_with_grad(const at::Tensor& img1, const at::Tensor& img2,
                                                        c10::string_view padding, double weight) {
  static const auto handle = op::find<op::Pair(const at::Tensor&, const at::Tensor&, c10::string_view, double)>(
      "ssim::fused_ssim_with_grad", "number");
  return handle.call(img1, img2, padding, weight);
}

}  // namespace ssim

TORCH_LIBRARY(ssim, library) {
  for (const char* schema : {
           "fused_ssim(Tensor img1, Tensor img2, str padding=\"same\", bool train=True) -> Tensor",
           "fused_ssim_with_grad(Tensor img1, Tensor img2, str padding=\"same\", Tensor? weight=None) -> "
           "(Tensor, Tensor)",
           "fused_ssim_with_grad.number(Tensor img1, Tensor img2, str padding, float weight) -> (Tensor, Tensor)",
       }) {
    library.def(schema, {at::Tag::pt2_compliant_tag});
  }
}

TORCH_LIBRARY_IMPL(ssim, CPU, library) { ssim::op::register_all<ssim::op::run_cpu>(library); }
#if SSIM_TORCH_CUDA
TORCH_LIBRARY_IMPL(ssim, CUDA, library) { ssim::op::register_all<ssim::op::run_cuda>(library); }
#endif
TORCH_LIBRARY_IMPL(ssim, Meta, library) { ssim::op::register_all<ssim::op::run_meta>(library); }
TORCH_LIBRARY_IMPL(ssim, CompositeExplicitAutograd, library) {
  ssim::op::register_all<ssim::op::run_elsewhere>(library);
}
