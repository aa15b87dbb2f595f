// SPDX-License-Identifier: MIT
// operator: the production kernel as a LibTorch user calls it, so that the cost of the call shows beside the kernel's.
// operator_recompute: the same with the other way to make an autograd step (switches.hpp).
//
// Idea: through the dispatcher, with tensors around the contract's memory; training is forward and backward through
// autograd. Cost beside `production`: the host's work for the call, allocations, the rounding of the mean to the fp32
// that the operator returns; training: one pass over the gradient (8 bytes an element), or the value once more.
// Run: ./suite test --filter ':operator' ; ./suite report --filter ':(operator|operator_recompute|production):train:'
#include "operator_row.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "bridge.hpp"
#include "fused_ssim.hpp"
#include "kernels/registry.hpp"
#include "switches.hpp"

namespace ssim {
namespace {

using torch_bridge::wrap;
using torch_bridge::wrap_images;

Status run(const char* name, op::Backward backward, Device device, const Problem& problem, const Arguments& arguments,
           Mode mode) {
  return torch_bridge::without_exceptions(name, [&]() -> Status {
    const torch_bridge::CallScope scope(device, arguments, mode);
    const at::Device where = torch_bridge::torch_device(device);
    const char* padding = to_string(problem.padding);
    at::Tensor x = wrap_images(arguments.x, problem, where);
    const at::Tensor y = wrap_images(arguments.y, problem, where);
    at::Tensor mean;
    if (mode == Mode::train) {
      x.set_requires_grad(true);
      const op::SwitchScope switched({.backward = backward, .gradient_buffer = arguments.grad_x});
      mean = fused_ssim(x, y, padding);
      const at::Tensor weight = arguments.weight ? wrap(arguments.weight, {}, at::kFloat, where) : at::Tensor();
      const at::Tensor gradient = torch::autograd::grad({mean}, {x}, {weight})[0];
      torch_bridge::deliver(gradient, arguments, problem, where);
    } else {
      mean = fused_ssim(x, y, padding);
    }
    if (device == Device::cpu) {
      *arguments.mean = *mean.const_data_ptr<float>();
    } else {
      wrap(arguments.mean, {}, at::kDouble, where).copy_(mean.detach());
    }
    return {};
  });
}

std::string supports(Device device, const Problem& problem, Mode mode) {
  if (std::string reason = torch_bridge::runs_on(device); !reason.empty()) return reason;
  if (problem.c1 != Problem{}.c1 || problem.c2 != Problem{}.c2) return "the operator's constants are those of range 1";
  return find_row(device, "production")->supports(problem, mode);
}

Cost cost(op::Backward backward, Device device, const Problem& p, Mode mode) {
  const Implementation* row = find_row(device, "production");
  if (!row) return {};
  Cost cost = row->cost(p, mode);
  if (mode == Mode::train && backward == op::Backward::scale) {
    cost.dram_bytes += 8.0 * static_cast<double>(p.elements());
    cost.launches += 1;
  }
  if (mode == Mode::train && backward == op::Backward::recompute) {
    const Cost value = row->cost(p, Mode::infer);
    cost.dram_bytes += value.dram_bytes;
    cost.fma += value.fma;
    cost.launches += value.launches;
  }
  // And the mean back to the contract's fp64.
  cost.launches = device == Device::cuda ? cost.launches + 1 : 0;
  return cost;
}

Implementation make_row(const char* name, const char* idea, op::Backward backward, Device device) {
  return {
      .name = name,
      .idea = idea,
      .device = device,
      .tile = {},
      .capturable = false,
      .rounds_mean = false,
      .mean_is_fp32 = true,
      .fp16_taps = device != Device::cpu,  // production's
      .supports = [device](const Problem& p, Mode mode) { return supports(device, p, mode); },
      .workspace_bytes = [](const Problem&, Mode) -> std::int64_t { return 0; },
      .value = [=](const Problem& p, const Arguments& a) { return run(name, backward, device, p, a, Mode::infer); },
      .value_and_grad = [=](const Problem& p,
                            const Arguments& a) { return run(name, backward, device, p, a, Mode::train); },
      .cost = [=](const Problem& p, Mode mode) { return cost(backward, device, p, mode); },
  };
}

}  // namespace

Implementation operator_row(Device device) {
  return make_row("operator", "production through LibTorch's dispatcher and autograd, as its users call it",
                  op::Backward::scale, device);
}

Implementation operator_recompute_row(Device device) {
  return make_row("operator_recompute", "operator whose backward computes the gradient instead of keeping it",
                  op::Backward::recompute, device);
}

}  // namespace ssim
