// SPDX-License-Identifier: MIT
// tensor: value on tensor cores at fp32 accuracy, images brought in by tensor copies where they can be.
//
// Idea and cost: tensor_forward.cuh. 8 bytes of DRAM an element, one launch.
// Run: ./suite test --filter tensor ; ./suite profile tensor
#include <utility>

#include "tensor_forward.cuh"
#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

namespace tensor_cores {

static_assert(kTile.height == kGroup && kTile.width == kStrip);

namespace {

std::int64_t most_blocks() {
  const int resident = resident_blocks(shared_bytes_of_multiprocessor());
  return static_cast<std::int64_t>(multiprocessors()) * (resident < 1 ? 1 : resident);
}

int origin_column(const Problem& p) { return p.padding == Padding::valid ? kHalo & ~3 : 0; }

/// Strips of a plane.
std::int64_t strips(const Problem& p) {
  const std::int64_t end = p.padding == Padding::valid ? p.width - kHalo : p.width;
  return (end - origin_column(p) + kStrip - 1) / kStrip;
}

/// Groups of a strip.
std::int64_t groups(const Problem& p) { return (p.counted_height() + kGroup - 1) / kGroup; }

/// Steps of all strips.
std::int64_t line_length(const Problem& p) { return p.planes() * strips(p) * (groups(p) + kFill); }

std::int64_t workspace_bytes(const Problem&, Mode) { return kControlBytes + (most_blocks() * 8 + 255) / 256 * 256; }

std::string supports(const Problem& p, Mode mode) {
  if (mode == Mode::train) return "value only";
  if (const int capability = compute_capability(); capability != 0 && capability < 80) {
    return "needs compute capability 8.0";
  }
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  if (p.height > limit || p.width > limit || p.planes() > limit) return "height, width and planes up to 2^30";
  if (line_length(p) > limit) return "up to 2^30 steps of 128 columns and 8 rows";
  // The weights' own error is 7e-6 at worst and 3e-7 on average where the window is cut off at the border.
  if (p.height < 16 && p.padding == Padding::same) return "fp16 weights: height from 16";
  if (p.width < 16 && p.padding == Padding::same) return "fp16 weights: width from 16";
  if (p.counted() < 1024) return "fp16 weights: from 1024 positions";
  // The range of the images is not known, but constants are made for one.
  if (p.c1 < 6e-6f || p.c1 > 0.12f || p.c2 < 5e-5f || p.c2 > 1.1f) {
    return "fp16 operands: constants of a data range from 0.25 to 34";
  }
  return "";
}

Cost cost(const Problem& p, Mode) {
  const double n = static_cast<double>(p.elements());
  return {8 * n, 88 * n, 1};
}

Status value(const Problem& problem, const Arguments& arguments, FeedChoice choice) {
  Parameters p{};
  p.x = arguments.x;
  p.y = arguments.y;
  p.width = static_cast<int>(problem.width);
  p.height = static_cast<int>(problem.height);
  p.margin = problem.padding == Padding::valid ? kHalo : 0;
  p.origin_column = origin_column(problem);
  p.strips = static_cast<int>(strips(problem));
  p.groups = static_cast<int>(groups(problem));
  const std::int64_t line = line_length(problem), outputs = problem.planes() * p.strips * p.groups;
  const std::int64_t blocks = outputs < most_blocks() ? outputs : most_blocks();
  p.share = static_cast<int>(line / blocks);
  p.longer = static_cast<int>(line % blocks);
  for (int i = 0; i < 32; ++i) p.weights[i] = half_tap_bits(i);
  constexpr double scale = kHalfTapSum * kHalfTapSum;  // of every statistic
  p.c1 = static_cast<float>(2 * scale * scale * static_cast<double>(problem.c1));
  p.c2 = static_cast<float>(2 * scale * scale * static_cast<double>(problem.c2));
  p.pivot = 1;
  p.pivot_mean = static_cast<float>(scale * p.pivot);
  p.scale_ss = static_cast<float>(scale * (1 - kCutOff));
  for (int i = 0; i < kAttempts; ++i) {
    p.factor[i] = exact_half_bits(kFactor[i]) * 0x10001u;
    p.scale_dd[i] = static_cast<float>(scale / kFactor[i]);
  }
  p.count = static_cast<double>(problem.counted());
  char* base = static_cast<char*>(arguments.workspace);
  p.counter = reinterpret_cast<unsigned*>(base);
  p.sums = reinterpret_cast<double*>(base + kControlBytes);
  p.mean = arguments.mean;

  const dim3 grid(static_cast<unsigned>(blocks)), block(kThreads);
  const bool aligned = problem.width % 4 == 0 && reinterpret_cast<std::uintptr_t>(p.x) % 16 == 0 &&
                       reinterpret_cast<std::uintptr_t>(p.y) % 16 == 0;
  if (choice == FeedChoice::best && can_copy_boxes<tensor_forward<0>>() && aligned &&
      problem.plane_size() < (std::int64_t{1} << 37)) {
    for (const auto& [map, image] : {std::pair(&p.map_x, p.x), std::pair(&p.map_y, p.y)}) {
      Status status =
          make_tensor_map(*map, image, problem.planes(), problem.height, problem.width, kGroup, kLoadColumns);
      if (!status) return status;
    }
    return launch("tensor_forward", tensor_forward<0>, grid, block, sizeof(Memory<0>), arguments.stream, p);
  }
  if (aligned) {
    return launch("tensor_forward", tensor_forward<16>, grid, block, sizeof(Memory<16>), arguments.stream, p);
  }
  return launch("tensor_forward", tensor_forward<4>, grid, block, sizeof(Memory<4>), arguments.stream, p);
}

}  // namespace

Implementation row(const std::string& name, const std::string& idea, FeedChoice choice) {
  return {
      .name = name,
      .idea = idea,
      .device = kDevice,
      .tile = kTile,
      .mean_gives_up = kMeanGivesUp,
      .exact_in_emulation = false,
      .supports = supports,
      .workspace_bytes = workspace_bytes,
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
  return tensor_cores::row("tensor", "tensor cores at fp32 accuracy: split fp16, sum/difference, value only",
                           tensor_cores::FeedChoice::best);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
