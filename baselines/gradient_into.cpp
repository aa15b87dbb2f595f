// SPDX-License-Identifier: MIT
#include "gradient_into.hpp"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/torch/bridge.hpp"

namespace ssim::baselines {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

float* target(AutogradContext* context) { return reinterpret_cast<float*>(context->saved_data["grad_x"].toInt()); }

void keep_target(AutogradContext* context, float* grad_x) {
  context->saved_data["grad_x"] = reinterpret_cast<std::int64_t>(grad_x);
}

struct Multiply : Function<Multiply> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& y, float* grad_x) {
    context->save_for_backward({y});
    keep_target(context, grad_x);
    return at::mul(x, y);
  }
  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const at::Tensor y = context->get_saved_variables()[0];
    at::Tensor gradient = torch_bridge::wrap(target(context), y.sizes(), y.scalar_type(), y.device());
    at::mul_out(gradient, upstream[0], y);
    return {std::move(gradient), at::Tensor(), at::Tensor()};
  }
};

struct Pad : Function<Pad> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t margin, float* grad_x) {
    context->saved_data["margin"] = margin;
    keep_target(context, grad_x);
    return at::constant_pad_nd(x, {margin, margin, margin, margin});
  }
  static variable_list backward(AutogradContext* context, const variable_list& upstream) {
    const std::int64_t margin = context->saved_data["margin"].toInt();
    const at::Tensor& padded = upstream[0];
    const at::Tensor inner =
        padded.narrow(2, margin, padded.size(2) - 2 * margin).narrow(3, margin, padded.size(3) - 2 * margin);
    at::Tensor gradient = torch_bridge::wrap(target(context), inner.sizes(), inner.scalar_type(), inner.device());
    gradient.copy_(inner);
    return {std::move(gradient), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor multiply_into(const at::Tensor& x, const at::Tensor& y, float* grad_x) {
  return grad_x ? Multiply::apply(x, y, grad_x) : at::mul(x, y);
}

at::Tensor pad_into(const at::Tensor& x, std::int64_t margin, float* grad_x) {
  return grad_x ? Pad::apply(x, margin, grad_x) : at::constant_pad_nd(x, {margin, margin, margin, margin});
}

}  // namespace ssim::baselines
