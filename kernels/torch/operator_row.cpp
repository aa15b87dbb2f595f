// SPDX-License-Identifier: MIT
// operator: the production kernel as a LibTorch user calls it, so that the cost of the call shows beside the kernel's.
//
// Idea: through the dispatcher, with tensors around the contract's memory; training is forward and backward through
// autograd. Cost beside `production`: the host's work for the call, allocations, one pass over the gradient (8 bytes an
// element), and the rounding of the mean to the fp32 that the operator returns.
// Run: ./suite test --filter ':operator:'
#include "operator_row.hpp"

#include <torch/csrc/autograd/autograd.h>

#include "bridge.hpp"
#include "fused_ssim.hpp"
#include "gradient_buffer.hpp"
#include "kernels/registry.hpp"

namespace ssim {
namespace {

using torch_bridge::wrap;
using torch_bridge::wrap_images;

struct LentBuffer {
  explicit LentBuffer(float* memory) { op::gradient_buffer = memory; }
  ~LentBuffer() { op::gradient_buffer = nullptr; }
};

Status run(Device device, const Problem& problem, const Arguments& arguments, Mode mode) {
  return torch_bridge::without_exceptions("operator", [&]() -> Status {
    const torch_bridge::CallScope scope(device, arguments, mode);
    const at::Device where = torch_bridge::torch_device(device);
    const char* padding = to_string(problem.padding);
    at::Tensor x = wrap_images(arguments.x, problem, where);
    const at::Tensor y = wrap_images(arguments.y, problem, where);
    at::Tensor mean;
    if (mode == Mode::train) {
      x.set_requires_grad(true);
      const LentBuffer lent(arguments.grad_x);
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

}  // namespace

Implementation operator_row(Device device) {
  return {
      .name = "operator",
      .idea = "production through LibTorch's dispatcher and autograd, as its users call it",
      .device = device,
      .tile = {},
      .capturable = false,
      .mean_is_fp32 = true,
      .supports = [device](const Problem& p, Mode mode) { return supports(device, p, mode); },
      .workspace_bytes = [](const Problem&, Mode) -> std::int64_t { return 0; },
      .value = [device](const Problem& p, const Arguments& a) { return run(device, p, a, Mode::infer); },
      .value_and_grad = [device](const Problem& p, const Arguments& a) { return run(device, p, a, Mode::train); },
      .cost =
          [device](const Problem& p, Mode mode) {
            const Implementation* row = find_row(device, "production");
            Cost cost = row ? row->cost(p, mode) : Cost{};
            if (mode == Mode::train) cost.dram_bytes += 8.0 * static_cast<double>(p.elements());
            // The workspace's memset, the mean to fp32 and back to the contract's fp64, the scaling pass.
            if (device == Device::cuda) cost.launches += mode == Mode::train ? 4 : 3;
            return cost;
          },
  };
}

}  // namespace ssim
