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

/// How a block's columns are used: as one strip or two, or for one plane or two.
enum class Columns { strip, strips, plane, planes };

/// Not divided yet.
Plan plan(const Problem& p, Columns use) {
  const bool whole = use == Columns::plane || use == Columns::planes;
  const int together = use == Columns::strips || use == Columns::planes ? 2 : 1;
  const int columns = kFieldColumns / together - (whole ? 0 : 2 * kReach);
  return {.planes = static_cast<int>(p.planes()),
          .strips = static_cast<int>((p.width + columns - 1) / columns),
          .groups = static_cast<int>((p.height + kGroup - 1) / kGroup),
          .together = together,
          .lead = kTrainLead,
          .strip_columns = columns,
          .before = whole ? kReach : 2 * kReach,
          .origin_column = 0,
          .origin_row = 0,
          .share = 0,
          .longer = 0};
}

/// What a step of the last strip of each plane takes of that of a whole one. Where half of a strip's warps have all
/// columns that are in the image, each scheduler has one warp that makes fields and not two, and this one's
/// instructions wait for one another: 78 us in place of 110 of 64x3x256 images of 24 to 120 columns and of 240, 47 us
/// in place of 64 of 24 to 56 columns and of 112 (H200, driver 580.159.04, 29 November 2026).
double cost_of_tail(const Plan& plan, const Problem& p) {
  const std::int64_t columns = p.width - std::int64_t{plan.strips - 1} * plan.strip_columns;
  return columns + 2 * kReach <= kFieldColumns / plan.together / 2 ? 0.73 : 1;
}

/// What takes the fewest steps; of equals whole planes, which have no margins, and then one strip.
Columns use_of_columns(const Problem& p) {
  if (p.width <= kBoxColumns) return p.planes() > 1 ? Columns::planes : Columns::strip;
  if (p.width <= kFieldColumns && p.width > kGradientColumns<Maps>) return Columns::plane;
  const auto steps = [&](Columns use) {
    const Plan all = plan(p, use);
    return static_cast<double>(line_length(all)) * (all.strips - 1 + cost_of_tail(all, p)) / all.strips;
  };
  return steps(Columns::strips) < steps(Columns::strip) ? Columns::strips : Columns::strip;
}

Plan plan(const Problem& p) { return plan(p, use_of_columns(p)); }

/// One a multiprocessor; more where a share would have more segments than can be remembered.
std::int64_t blocks(const Problem& p) {
  const Plan whole = plan(p);
  const std::int64_t outputs = output_steps(whole), most = multiprocessors();
  const std::int64_t longest = (kMostSegments - 2) * std::int64_t{whole.groups + 2 * kTrainLead};
  const std::int64_t least = (line_length(whole) + longest - 1) / longest;
  return least > most ? least : outputs < most ? outputs : most;
}

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
  if constexpr (kTails<AnyMaps>) {
    divide_tails(p.plan, cost_of_tail(p.plan, problem), kBoxColumns / 2, count);
  }
  const Status status = make_maps(p.maps, problem, arguments);
  if (!status) return status;
  return launch("tensor_train", tensor_train<AnyMaps>, dim3(static_cast<unsigned>(count)), dim3(kTrainThreads),
                sizeof(TrainMemory<AnyMaps>), arguments.stream, p);
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
