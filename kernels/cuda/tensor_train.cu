// SPDX-License-Identifier: MIT
// tensor_train: value and gradient on tensor cores at fp32 accuracy, one pass, images by tensor copies.
//
// Idea and cost: tensor_train.cuh. 12 bytes of DRAM an element, one launch. Compute capability 9.0.
// Run: ./suite test --filter tensor_train ; ./suite profile tensor_train
#include "tensor_train.cuh"

#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

namespace tensor_cores {
namespace {

std::int64_t strips(const Problem& p) { return (p.width + kGradientColumns - 1) / kGradientColumns; }
std::int64_t groups(const Problem& p) { return (p.height + kGroup - 1) / kGroup; }

std::int64_t train_workspace_bytes(const Problem&, Mode) {
  return kControlBytes + (std::int64_t{8} * multiprocessors() + 255) / 256 * 256;
}

std::string train_supports(const Problem& p, Mode mode) {
  if (mode == Mode::infer) return "value and gradient only";
  if (p.width % 4 != 0) return "tensor copies: width a multiple of 4";
  if (!boxes_fit(p)) return "tensor copies: planes up to 2^37 pixels";
  if (p.planes() * strips(p) * (groups(p) + 2 * kTrainLead) > std::int64_t{1} << 30) {
    return "up to 2^30 steps of 240 columns and 8 rows";
  }
  if (shared_bytes_of_block() < static_cast<int>(sizeof(TrainMemory)) && compute_capability() != 0) {
    return "needs " + std::to_string(sizeof(TrainMemory)) + " bytes of shared memory a block";
  }
  return within_range(p, 90);
}

Cost train_cost(const Problem& p, Mode) {
  const double n = static_cast<double>(p.elements());
  return {12 * n, 154 * n, 1};
}

Status value_and_grad(const Problem& problem, const Arguments& arguments) {
  if (!aligned(problem, arguments) || reinterpret_cast<std::uintptr_t>(arguments.grad_x) % 16 != 0) {
    return Status::error(Status::Code::unsupported, "x = %p, y = %p, grad_x = %p: tensor copies need multiples of 16",
                         static_cast<const void*>(arguments.x), static_cast<const void*>(arguments.y),
                         static_cast<void*>(arguments.grad_x));
  }
  TrainParameters p{};
  p.x = arguments.x;
  p.y = arguments.y;
  p.width = static_cast<int>(problem.width);
  p.height = static_cast<int>(problem.height);
  p.margin = problem.padding == Padding::valid ? kHalo : 0;
  p.plan = {.strips = static_cast<int>(strips(problem)),
            .groups = static_cast<int>(groups(problem)),
            .lead = kTrainLead,
            .strip_columns = kGradientColumns,
            .origin_column = 0,
            .origin_row = 0,
            .share = 0,
            .longer = 0};
  const std::int64_t outputs = problem.planes() * p.plan.strips * p.plan.groups;
  const std::int64_t most = multiprocessors(), blocks = outputs < most ? outputs : most;
  divide(p.plan, problem.planes(), blocks);
  p.statistics = statistics_parameters(problem);
  p.count = static_cast<double>(problem.counted());
  p.unit = 4 / (kFieldScale * p.count);
  p.weight = arguments.weight;
  p.grad_x = arguments.grad_x;
  char* base = static_cast<char*>(arguments.workspace);
  p.counter = reinterpret_cast<unsigned*>(base);
  p.sums = reinterpret_cast<double*>(base + kControlBytes);
  p.mean = arguments.mean;
  const Status status = make_maps(p.map_x, p.map_y, problem, arguments, kGroup, kLoadColumns);
  if (!status) return status;
  return launch("tensor_train", tensor_train, dim3(static_cast<unsigned>(blocks)), dim3(kTrainThreads),
                sizeof(TrainMemory), arguments.stream, p);
}

}  // namespace
}  // namespace tensor_cores

Implementation tensor_train() {
  return {
      .name = "tensor_train",
      .idea = "tensor cores at fp32 accuracy, value and gradient in one pass",
      .device = kDevice,
      .tile = {tensor_cores::kGroup, tensor_cores::kGradientColumns},
      .alignment = 16,
      .exact_in_emulation = false,
      .supports = tensor_cores::train_supports,
      .workspace_bytes = tensor_cores::train_workspace_bytes,
      .value =
          [](const Problem&, const Arguments&) {
            return Status::error(Status::Code::unsupported, "tensor_train: value and gradient only");
          },
      .value_and_grad = tensor_cores::value_and_grad,
      .cost = tensor_cores::train_cost,
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
