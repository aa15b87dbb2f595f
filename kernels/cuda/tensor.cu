// SPDX-License-Identifier: MIT
// tensor: value on tensor cores at fp32 accuracy, images brought in by tensor copies where they can be.
//
// Idea and cost: tensor_forward.cuh. 8 bytes of DRAM an element, one launch.
// Run: ./suite test --filter tensor ; ./suite profile tensor
#include "tensor_forward.cuh"
#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

namespace tensor_cores {
namespace {

int origin_column(const Problem& p) { return p.padding == Padding::valid ? kHalo & ~3 : 0; }

/// Not divided yet.
Plan plan(const Problem& p, int together) {
  const std::int64_t end = p.padding == Padding::valid ? p.width - kHalo : p.width;
  return {.planes = static_cast<int>(p.planes()),
          .strips = static_cast<int>((end - origin_column(p) + kBoxColumns - 1) / kBoxColumns),
          .groups = static_cast<int>((p.counted_height() + kGroup - 1) / kGroup),
          .together = together,
          .lead = 1,
          .strip_columns = kBoxColumns,
          .before = kReach,
          .origin_column = origin_column(p),
          .origin_row = p.padding == Padding::valid ? kHalo : 0,
          .share = 0,
          .longer = 0};
}

template <typename Feed>
std::int64_t most_blocks() {
  if constexpr (Feed::kBoxes > 1) return multiprocessors();
  return static_cast<std::int64_t>(multiprocessors()) * resident_blocks<Feed>(shared_bytes_of_multiprocessor());
}

std::string supports(const Problem& p, Mode mode) {
  if (mode == Mode::train) return "value only";
  if (line_length(plan(p, 1)) > std::int64_t{1} << 30) return "up to 2^30 steps of 128 columns and 8 rows";
  return within_range(p, 80);
}

Cost cost(const Problem& p, Mode) {
  const double n = static_cast<double>(p.elements());
  return {8 * n, 88 * n, 1};
}

template <typename Feed>
Status launch_forward(const Problem& problem, const Arguments& arguments) {
  const Plan whole = plan(problem, Feed::kBoxes);
  const std::int64_t outputs = output_steps(whole);
  const std::int64_t most = most_blocks<Feed>(), blocks = outputs < most ? outputs : most;
  ForwardParameters<Feed> p{};
  fill(p, problem, arguments, whole, blocks);
  if constexpr (Feed::kUsesMaps) {
    const Status status = make_maps(p.maps, problem, arguments);
    if (!status) return status;
  }
  const dim3 grid(static_cast<unsigned>(blocks));
  if constexpr (Feed::kBoxes > 1) {
    return launch<Start::early>("tensor_forward_wide", tensor_forward_wide<Feed>, grid, dim3(kWideThreads<Feed>),
                                sizeof(ForwardMemory<Feed>), arguments.stream, p);
  } else {
    // Tensor copies are there in code for sm_90 and newer, and only in that does the kernel wait.
    constexpr Start kStart = Feed::kUsesMaps ? Start::early : Start::behind;
    return launch<kStart>("tensor_forward", tensor_forward<Feed>, grid, dim3(32 * Feed::kWarps),
                          sizeof(ForwardMemory<Feed>), arguments.stream, p);
  }
}

/// Time of the busiest multiprocessor in steps of one box, of which it makes three at a time or wastes what it could:
/// what a block's width decides.
template <typename Feed>
std::int64_t longest(const Problem& p) {
  const std::int64_t blocks = most_blocks<Feed>();
  const std::int64_t share = (line_length(plan(p, Feed::kBoxes)) + blocks - 1) / blocks + 2;
  return share * kMostResident;
}

template <typename AnyMaps>
Status value_by_maps(const Problem& problem, const Arguments& arguments) {
  using Wide = ProducedFeed<AnyMaps>;
  using Narrow = TensorFeed<AnyMaps>;
  if (registers_move<tensor_forward_wide<Wide>>() && longest<Wide>(problem) <= longest<Narrow>(problem)) {
    return launch_forward<Wide>(problem, arguments);
  }
  return launch_forward<Narrow>(problem, arguments);
}

Status value(const Problem& problem, const Arguments& arguments, FeedChoice choice) {
  const bool copies_16 = aligned(problem, arguments);
  if (choice == FeedChoice::best && can_copy_boxes<tensor_forward<TensorFeed<Maps>>>() && boxes_fit(problem)) {
    return copies_16 ? value_by_maps<Maps>(problem, arguments) : value_by_maps<RowMaps>(problem, arguments);
  }
  if (copies_16) return launch_forward<CopyFeed<16>>(problem, arguments);
  return launch_forward<CopyFeed<4>>(problem, arguments);
}

}  // namespace

Implementation forward_row(const std::string& name, const std::string& idea, FeedChoice choice) {
  return {
      .name = name,
      .idea = idea,
      .device = kDevice,
      .tile = {kGroup, kBoxColumns},
      .exact_in_emulation = false,
      .fp16_taps = true,
      .supports = supports,
      .workspace_bytes = word_alone,
      .value = [choice](const Problem& p, const Arguments& a) { return value(p, a, choice); },
      .value_and_grad =
          [name](const Problem&, const Arguments&) {
            return Status::error(Status::Code::unsupported, "%s: value only", name.c_str());
          },
      .cost = cost,
  };
}

}  // namespace tensor_cores

Implementation tensor() {
  return tensor_cores::forward_row("tensor", "tensor cores at fp32 accuracy: split fp16, sum/difference, value only",
                                   tensor_cores::FeedChoice::best);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
