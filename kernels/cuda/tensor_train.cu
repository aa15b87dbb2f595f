// SPDX-License-Identifier: MIT
// tensor_train: value and gradient on tensor cores at fp32 accuracy, one pass, images by tensor copies.
//
// Idea and cost: tensor_train.cuh. 12 bytes of DRAM an element, one launch. Compute capability 9.0.
// Run: ./suite test --filter tensor_train ; ./suite profile tensor_train
#include "tensor_train.cuh"

#include "tensor_rows.hpp"
#include "tensor_train_plan.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {

namespace tensor_cores {
namespace {

std::string train_supports(const Problem& p, Mode mode) {
  if (mode == Mode::infer) return "value and gradient only";
  if (!boxes_fit(p)) return "tensor copies: planes up to 2^37 pixels and 2^25 rows, rows of all planes up to 2^32";
  if (line_length(plan(p)) > std::int64_t{1} << 30) {
    return "up to 2^30 steps of 240 columns and 8 rows";
  }
  if (std::string reason = within_range(p, 90); !reason.empty()) return reason;
  if (compute_capability() != 0 && !registers_move<tensor_train<Maps>>())
    return "needs code for sm_90a, on such a device";
  return "";
}

Cost train_cost(const Problem& p, Mode) {
  const double n = static_cast<double>(p.elements());
  return {12 * n, 154 * n, 1};
}

template <typename AnyMaps>
Status train(const Problem& problem, const Arguments& arguments) {
  TrainParametersWith<AnyMaps> p{};
  const std::int64_t count = blocks(problem);
  fill(p, problem, arguments, plan(problem), count);
  p.unit = 4 / kFieldScale * p.inverse_count;
  p.weight = arguments.weight;
  p.grad_x = arguments.grad_x;
  if constexpr (kTails<AnyMaps>) divide_tails(p.plan, problem, count);
  const Status status = make_maps(p.maps, problem, arguments);
  if (!status) return status;
  return launch<Start::early>("tensor_train", tensor_train<AnyMaps>, dim3(static_cast<unsigned>(count)),
                              dim3(kTrainThreads), sizeof(TrainMemory<AnyMaps>), arguments.stream, p);
}

template <typename AnyMaps>
Status train_by_width(const Problem& problem, const Arguments& arguments) {
  switch (use_of_columns(problem)) {
    case Columns::strips: return train<NarrowStrips<AnyMaps>>(problem, arguments);
    case Columns::plane: return train<WholePlanes<AnyMaps, 1>>(problem, arguments);
    case Columns::planes: return train<WholePlanes<AnyMaps, 2>>(problem, arguments);
    default: return train<AnyMaps>(problem, arguments);
  }
}

Status value_and_grad(const Problem& problem, const Arguments& arguments) {
  const bool pairs = aligned(problem, arguments) && reinterpret_cast<std::uintptr_t>(arguments.grad_x) % 8 == 0;
  return pairs ? train_by_width<Maps>(problem, arguments) : train_by_width<RowMaps>(problem, arguments);
}

}  // namespace
}  // namespace tensor_cores

Implementation tensor_train() {
  return {
      .name = "tensor_train",
      .idea = "tensor cores at fp32 accuracy, value and gradient in one pass",
      .device = kDevice,
      .tile = {tensor_cores::kGroup, tensor_cores::kGradientColumns<tensor_cores::Maps>},
      .exact_in_emulation = false,
      .fp16_taps = true,
      .supports = tensor_cores::train_supports,
      .workspace_bytes = word_alone,
      .value =
          [](const Problem&, const Arguments&) {
            return Status::error(Status::Code::unsupported, "tensor_train: value and gradient only");
          },
      .value_and_grad = tensor_cores::value_and_grad,
      .cost = tensor_cores::train_cost,
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
