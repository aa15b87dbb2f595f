// SPDX-License-Identifier: MIT
// How tensor_train divides its work, over random problems: every group of outputs is handed out once, and no block gets
// more segments than it can remember. Compiled like a row for the emulation.
#include <random>

#include "broken_kernels.hpp"
#include "emulated_floats.hpp"
#include "kernels/cuda/tensor_train_plan.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

using namespace tensor_cores;

/// For each block: outputs handed out, segments, groups that lie outside of their strip.
__global__ void walk(PlanWithTails plan, float* out) {
  Segment segment;
  int outputs = 0, segments = 0, outside = 0;
  for (int done = 0; next_segment(plan, done, segment); ++segments) {
    outputs += segment.outputs;
    outside += segment.first < 0 || segment.first + segment.outputs > plan.groups ? 1 : 0;
    for (int i = 0; i < plan.together; ++i) {
      const Place place = place_of(plan, segment.strip + i);
      outside += place.plane < 0 || place.plane >= plan.planes + plan.together ? 1 : 0;
    }
  }
  float* const own = out + 3 * blockIdx.x;
  own[0] = static_cast<float>(outputs);
  own[1] = static_cast<float>(segments);
  own[2] = static_cast<float>(outside);
}

std::string wrong(const Problem& problem) {
  const std::int64_t count = blocks(problem);
  PlanWithTails divided;
  static_cast<Plan&>(divided) = plan(problem);
  const std::int64_t all = output_steps(divided);
  divide(divided, count);
  const Plan whole = divided;
  const Columns use = use_of_columns(problem);
  if (use == Columns::strip || use == Columns::strips) divide_tails(divided, problem, count);
  // Strips taken together pad a line to a multiple of them, two lines each for itself.
  const bool tails = static_cast<std::int64_t>(divided.strips) != whole.strips;
  std::int64_t expected = all;
  if (tails) {
    Plan tail = divided;
    tail.strips = 1;
    expected = output_steps(divided) + output_steps(tail);
  }
  const verify::Floats out(static_cast<int>(3 * count));
  float* const found = out;
  if (Status s = launch("walk", walk, dim3(static_cast<unsigned>(count)), dim3(1), 0, nullptr, divided, found); !s) {
    return s.message;
  }
  std::int64_t outputs = 0;
  for (std::int64_t block = 0; block < count; ++block) {
    const float* const own = found + 3 * block;
    outputs += static_cast<std::int64_t>(own[0]);
    if (own[1] > kMostSegments)
      return "block " + std::to_string(block) + " has " + std::to_string(static_cast<int>(own[1])) + " segments";
    if (own[2] > 0) return "block " + std::to_string(block) + " has segments outside of their strips";
  }
  if (outputs != expected) {
    return std::to_string(outputs) + " groups were handed out, there are " + std::to_string(expected);
  }
  return "";
}

}  // namespace
}  // namespace ssim::SSIM_CUDA_NAMESPACE

namespace ssim::verify {

std::string test_plans() {
  std::mt19937_64 random(7);
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  for (int i = 0; i < 4000; ++i) {
    // Low planes in numbers are what shares of many segments come from.
    const bool many = i % 2 == 0;
    Problem p{.batch = many ? 200 + below(2000) : 1 + below(20), .channels = 1 + below(3)};
    p.height = many ? 16 + below(32) : 16 + below(600);
    p.width = 16 + below(2100);
    if (const std::string why = SSIM_CUDA_NAMESPACE::wrong(p); !why.empty()) {
      return std::to_string(p.batch) + "x" + std::to_string(p.channels) + "x" + std::to_string(p.height) + "x" +
             std::to_string(p.width) + ": " + why;
    }
  }
  return "";
}

}  // namespace ssim::verify
