// SPDX-License-Identifier: MIT
// What the rows on tensor cores have in common on the host.
#pragma once

#include <cstdint>
#include <string>

#include "../implementation.hpp"
#include "primitives_tensor.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

/// best: tensor copies where the device has them and the images allow it, else copies.
enum class FeedChoice { best, copies };

/// A row of that name which feeds the forward kernel in that way. Defined in tensor.cu.
Implementation forward_row(const std::string& name, const std::string& idea, FeedChoice choice);

/// Whether rows and base pointers are multiples of 16 bytes.
inline bool aligned(const Problem& problem, const Arguments& arguments) {
  return problem.width % 4 == 0 && reinterpret_cast<std::uintptr_t>(arguments.x) % 16 == 0 &&
         reinterpret_cast<std::uintptr_t>(arguments.y) % 16 == 0;
}

/// Whether images of this size can be described to tensor copies.
inline bool boxes_fit(const Problem& problem) { return problem.plane_size() < (std::int64_t{1} << 37); }

/// "" where the size, the constants and the device are within what 32-bit indices and fp16 operands allow.
inline std::string within_range(const Problem& p, int capability) {
  if (const int found = compute_capability(); found != 0 && found < capability) {
    return "needs compute capability " + std::to_string(capability / 10) + "." + std::to_string(capability % 10);
  }
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  if (p.height > limit || p.width > limit || p.planes() > limit) return "height, width and planes up to 2^30";
  // The taps' own error is 7e-6 at worst and 3e-7 on average where the window is cut off at the border.
  if (p.height < 16 && p.padding == Padding::same) return "fp16 weights: height from 16";
  if (p.width < 16 && p.padding == Padding::same) return "fp16 weights: width from 16";
  if (p.counted() < 1024) return "fp16 weights: from 1024 positions";
  // The range of the images is not known, but constants are made for one.
  if (p.c1 < 6e-6f || p.c1 > 0.12f || p.c2 < 5e-5f || p.c2 > 1.1f) {
    return "fp16 operands: constants of a data range from 0.25 to 34";
  }
  return "";
}

inline Status make_maps(TensorMap& map_x, TensorMap& map_y, const Problem& problem, const Arguments& arguments,
                        int box_height, int box_width) {
  const Status status =
      make_tensor_map(map_x, arguments.x, problem.planes(), problem.height, problem.width, box_height, box_width);
  if (!status) return status;
  return make_tensor_map(map_y, arguments.y, problem.planes(), problem.height, problem.width, box_height, box_width);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
