// SPDX-License-Identifier: MIT
// The operator's derivative: forward computes value and gradient in one go, backward scales the gradient.
//
// The result is one number, so its gradient to img1 is fixed up to the factor that comes from above; that factor is
// multiplied in where it lies, without the host's seeing it on a GPU. Cost: one pass of 8 bytes an element, in place
// when the graph is not kept; none on the CPU when the factor is 1.
#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include "fused_ssim.hpp"
#include "node.hpp"

#if SSIM_TORCH_CUDA
#include <c10/cuda/CUDAGraphsC10Utils.h>
#endif

namespace ssim::op {
namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

constexpr const char* kNoSecondDerivative =
    "fused_ssim: the gradient of fused_ssim was differentiated again; only first derivatives are implemented";

// Stands behind a gradient that was computed with create_graph=True: harmless until somebody differentiates it.
struct SecondDerivative : Node {
  using Node::Node;
  std::string name() const override { return "FusedSsimSecondDerivative"; }
  variable_list apply(variable_list&&) override { TORCH_CHECK_NOT_IMPLEMENTED(false, kNoSecondDerivative); }
};

bool capturing(const at::Tensor& tensor) {
#if SSIM_TORCH_CUDA
  return tensor.is_cuda() && c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
#else
  return tensor.is_cuda();
#endif
}

struct FusedSsimBackward : Node {
  torch::autograd::SavedVariable gradient;

  std::string name() const override { return "FusedSsimBackward"; }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    gradient.reset_data();
  }

  variable_list apply(variable_list&& upstream) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const at::Tensor& factor = upstream[0];
    if (!factor.defined() || !task_should_compute_output(0)) return variable_list(1);
    at::Tensor saved = gradient.unpack();
    // Nobody else can see the saved tensor, and nobody will ask for it again. A captured graph may be replayed.
    const bool mine = !at::GradMode::is_enabled() && !torch::autograd::get_current_graph_task_keep_graph() &&
                      !gradient.has_hooks() && !at::isTensorSubclassLike(saved) && !at::isTensorSubclassLike(factor) &&
                      saved.use_count() <= 2 && !capturing(saved);
    if (mine) {
      const bool unchanged = factor.is_cpu() && *factor.const_data_ptr<float>() == 1.0f;
      return {unchanged ? saved : saved.mul_(factor)};
    }
    at::Tensor result;
    {
      const at::NoGradGuard no_grad;
      result = at::mul(saved, factor);
    }
    if (at::GradMode::is_enabled()) {
      // Edges to img1 and to the factor, so that every way to ask for a second derivative leads here.
      auto stop = make_node<SecondDerivative>(
          torch::autograd::edge_list{next_edge(0), torch::autograd::impl::gradient_edge(factor)});
      torch::autograd::set_history(result, stop);
    }
    return {result};
  }
};

at::Tensor differentiable(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool train) {
  const bool grad_mode = at::GradMode::is_enabled();
  TORCH_CHECK(
      !(grad_mode && img2.requires_grad()),
      "fused_ssim: img2 requires a gradient, which goes to img1 alone; exchange the images (SSIM is symmetric), "
      "pass img2.detach(), or call it under torch.no_grad()");
  TORCH_CHECK_NOT_IMPLEMENTED(
      !torch::autograd::isFwGradDefined(img1) && !torch::autograd::isFwGradDefined(img2),
      "fused_ssim: img1 or img2 carries a tangent; forward-mode derivatives are not implemented");
  if (!(train && grad_mode && img1.requires_grad())) {
    const at::AutoDispatchBelowADInplaceOrView below;
    return fused_ssim(img1, img2, padding, train);
  }
  at::Tensor result, gradient;
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    std::tie(result, gradient) = fused_ssim_with_grad(img1, img2, padding);
  }
  auto node = make_node<FusedSsimBackward>();
  node->set_next_edges(torch::autograd::collect_next_edges(img1));
  node->gradient = torch::autograd::SavedVariable(gradient, /*is_output=*/false);
  torch::autograd::set_history(result, node);
  return result;
}

}  // namespace
}  // namespace ssim::op

TORCH_LIBRARY_IMPL(ssim, Autograd, library) {
  library.impl("fused_ssim", ssim::op::differentiable);
  library.impl("fused_ssim_with_grad", torch::autograd::autogradNotImplementedFallback());
}
