// SPDX-License-Identifier: MIT
// tensor_train: value and gradient on tensor cores at fp32 accuracy, one pass, images by tensor copies.
//
// Idea and cost: tensor_train.cuh. 12 bytes of DRAM an element, one launch. Compute capability 9.0.
// Run: ./suite test --filter tensor_train ; ./suite profile tensor_train
#include "tensor_train.cuh"

#include <algorithm>

#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

Implementation stream();

namespace tensor_cores {
namespace {

std::int64_t strips(const Problem& p) { return (p.width + kGradientColumns - 1) / kGradientColumns; }
std::int64_t groups(const Problem& p) { return (p.height + kGroup - 1) / kGroup; }

std::int64_t line_length(const Problem& p) { return p.planes() * strips(p) * (groups(p) + 2 * kTrainLead); }

/// One a multiprocessor; more where a share would have more segments than can be remembered.
std::int64_t blocks(const Problem& p) {
  const std::int64_t outputs = p.planes() * strips(p) * groups(p), most = multiprocessors();
  const std::int64_t longest = (kMostSegments - 2) * (groups(p) + 2 * kTrainLead);
  const std::int64_t least = (line_length(p) + longest - 1) / longest;
  return least > most ? least : outputs < most ? outputs : most;
}

/// What runs where base pointers are not multiples of 16 bytes.
const Implementation& unaligned() {
  static const Implementation row = stream();
  return row;
}

std::int64_t train_workspace_bytes(const Problem& p, Mode mode) {
  return std::max(kControlBytes + (8 * blocks(p) + 255) / 256 * 256, unaligned().workspace_bytes(p, mode));
}

std::string train_supports(const Problem& p, Mode mode) {
  if (mode == Mode::infer) return "value and gradient only";
  if (p.width % 4 != 0) return "tensor copies: width a multiple of 4";
  if (!boxes_fit(p)) return "tensor copies: planes up to 2^37 pixels";
  if (line_length(p) > std::int64_t{1} << 30) {
    return "up to 2^30 steps of 240 columns and 8 rows";
  }
  if (std::string reason = within_range(p, 90); !reason.empty()) return reason;
  if (compute_capability() != 0 && !registers_move<tensor_train>()) return "needs code for sm_90a, on such a device";
  return "";
}

Cost train_cost(const Problem& p, Mode) {
  const double n = static_cast<double>(p.elements());
  return {12 * n, 154 * n, 1};
}

Status value_and_grad(const Problem& problem, const Arguments& arguments) {
  if (!aligned(problem, arguments) || reinterpret_cast<std::uintptr_t>(arguments.grad_x) % 8 != 0) {
    return unaligned().value_and_grad(problem, arguments);
  }
  const Plan plan{.strips = static_cast<int>(strips(problem)),
                  .groups = static_cast<int>(groups(problem)),
                  .lead = kTrainLead,
                  .strip_columns = kGradientColumns,
                  .origin_column = 0,
                  .origin_row = 0,
                  .share = 0,
                  .longer = 0};
  TrainParameters p{};
  fill(p, problem, arguments, plan, blocks(problem));
  p.unit = 4 / (kFieldScale * p.count);
  p.weight = arguments.weight;
  p.grad_x = arguments.grad_x;
  const Status status = make_maps(p.map_x, p.map_y, problem, arguments, kGroup, kLoadColumns);
  if (!status) return status;
  return launch("tensor_train", tensor_train, dim3(static_cast<unsigned>(blocks(problem))), dim3(kTrainThreads),
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
      .exact_in_emulation = false,
      .fp16_taps = true,
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
