// SPDX-License-Identifier: MIT
// The operator's derivative: forward computes value and gradient in one go, backward scales the gradient; or, where the
// thread's switch says so, forward computes the value and backward value and gradient.
//
// The result is one number, so its gradient to img1 is fixed up to the factor that comes from above. That factor stays
// on the device: a host that asked for it would wait for all work before.
// Cost of scaling: one pass of 8 bytes an element, in place when the graph is not kept; none where the factor is 1,
// which on CUDA the pass itself finds out. The same inside a CUDA graph that holds forward and backward; a backward in
// a graph of its own scales into memory of its own. Of recomputing: the value once more.
#include <ATen/TensorSubclassLikeUtils.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include <string>
#include <utility>

#include "fused_ssim.hpp"
#include "implementation.hpp"
#include "node.hpp"
#include "switches.hpp"

#if SSIM_TORCH_CUDA
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
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

// Nothing that only the dispatcher could tell from memory that holds the values.
bool plain(const at::Tensor& tensor) {
  return !at::isTensorSubclassLike(tensor) && !tensor.is_neg() && !tensor._is_zerotensor();
}

/// Number of the capture into a CUDA graph that the current stream takes part in, 0 without one. A fake tensor says
/// that it is on CUDA where there may be none.
unsigned long long capture_of(const at::Tensor& tensor) {
  unsigned long long id = 0;
#if SSIM_TORCH_CUDA
  if (tensor.is_cuda() && plain(tensor)) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    C10_CUDA_CHECK(cudaStreamGetCaptureInfo(c10::cuda::getCurrentCUDAStream(tensor.get_device()), &status, &id));
    if (status != cudaStreamCaptureStatusActive) id = 0;
  }
#endif
  return id;
}

// What both ways have in common: one edge to img1, and how a gradient leaves the node.
struct FusedSsimNode : Node {
  variable_list finished(at::Tensor gradient, const at::Tensor& factor) const {
    if (at::GradMode::is_enabled()) {
      // Edges to img1 and to the factor, so that every way to ask for a second derivative leads here.
      auto stop = make_node<SecondDerivative>(
          torch::autograd::edge_list{next_edge(0), torch::autograd::impl::gradient_edge(factor)});
      torch::autograd::set_history(gradient, stop);
    }
    return {std::move(gradient)};
  }
};

struct FusedSsimBackward final : FusedSsimNode {
  torch::autograd::SavedVariable gradient;
  unsigned long long capture = 0;  // in which forward computed it

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
    const bool direct = !at::GradMode::is_enabled() && plain(saved) && plain(factor);
    // Nobody else can see the saved tensor, and nobody will ask for it again: replays of a CUDA graph would, unless the
    // forward that computes it anew is in it too.
    const bool mine = direct && !torch::autograd::get_current_graph_task_keep_graph() && !gradient.has_hooks() &&
                      saved.use_count() <= 2 && capture_of(saved) == capture;
#if SSIM_TORCH_CUDA
    // What a hook hands back may be anything, what we kept is fp32 and contiguous.
    if (direct && !gradient.has_hooks() && saved.is_cuda()) return {scale_cuda(saved, factor, mine)};
#endif
    if (mine) {
      const bool unchanged = factor.is_cpu() && *factor.const_data_ptr<float>() == 1.0f;
      return {unchanged ? saved : saved.mul_(factor)};
    }
    at::Tensor result;
    {
      const at::NoGradGuard no_grad;
      result = at::mul(saved, factor);
    }
    return finished(std::move(result), factor);
  }
};

struct FusedSsimRecompute final : FusedSsimNode {
  torch::autograd::SavedVariable img1, img2;
  std::string padding;
  Switches of_forward;

  std::string name() const override { return "FusedSsimRecompute"; }

  void release_variables() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    img1.reset_data();
    img2.reset_data();
  }

  variable_list apply(variable_list&& upstream) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    const at::Tensor& factor = upstream[0];
    if (!factor.defined() || !task_should_compute_output(0)) return variable_list(1);
    const at::Tensor x = img1.unpack(), y = img2.unpack();
    at::Tensor result;
    {
      const SwitchScope scope(of_forward);  // this may be another thread
      const at::AutoDispatchBelowADInplaceOrView below;
      result = std::get<1>(fused_ssim_with_grad(x, y, padding, factor));
    }
    return finished(std::move(result), factor);
  }
};

template <typename T>
auto node_behind(const at::Tensor& img1) {
  auto node = make_node<T>();
  node->set_next_edges(torch::autograd::collect_next_edges(img1));
  return node;
}

at::Tensor differentiable(const at::Tensor& img1, const at::Tensor& img2, c10::string_view padding, bool train) {
  const bool grad_mode = at::GradMode::is_enabled();
  TORCH_CHECK(
      !(grad_mode && img2.requires_grad()),
      "fused_ssim: img2 requires a gradient, which goes to img1 alone; exchange the images (SSIM is symmetric), "
      "pass img2.detach(), or call it under torch.no_grad()");
  TORCH_CHECK_NOT_IMPLEMENTED(
      !torch::autograd::isFwGradDefined(img1) && !torch::autograd::isFwGradDefined(img2),
      "fused_ssim: img1 or img2 carries a tangent; forward-mode derivatives are not implemented");
  const bool keeps = train && grad_mode && img1.requires_grad();
  if (!keeps || switches().backward == Backward::recompute) {
    at::Tensor result;
    {
      const at::AutoDispatchBelowADInplaceOrView below;
      result = fused_ssim(img1, img2, padding, train);
    }
    if (keeps) {
      const auto node = node_behind<FusedSsimRecompute>(img1);
      node->img1 = torch::autograd::SavedVariable(img1, /*is_output=*/false);
      node->img2 = torch::autograd::SavedVariable(img2, /*is_output=*/false);
      node->padding = std::string(padding);
      node->of_forward = switches();
      torch::autograd::set_history(result, node);
    }
    return result;
  }
  at::Tensor result, gradient;
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    std::tie(result, gradient) = fused_ssim_with_grad(img1, img2, padding);
  }
  const auto node = node_behind<FusedSsimBackward>(img1);
  node->gradient = torch::autograd::SavedVariable(gradient, /*is_output=*/false);
  node->capture = capture_of(gradient);
  torch::autograd::set_history(result, node);
  return result;
}

}  // namespace
}  // namespace ssim::op

TORCH_LIBRARY_IMPL(ssim, Autograd, library) {
  library.impl("fused_ssim", ssim::op::differentiable);
  library.impl("fused_ssim_with_grad", torch::autograd::autogradNotImplementedFallback());
  library.impl("fused_ssim_with_grad.number", torch::autograd::autogradNotImplementedFallback());
}
