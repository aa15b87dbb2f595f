// SPDX-License-Identifier: MIT
// What the rows on tensor cores have in common on the host.
#pragma once

#include <cstdint>
#include <string>

#include "../implementation.hpp"
#include "tensor_feed.cuh"

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

/// Whether images of this size can be described to tensor copies: strides below 2^40 bytes, rows below 2^31.
inline bool boxes_fit(const Problem& problem) {
  return problem.plane_size() < (std::int64_t{1} << 37) &&
         problem.planes() * problem.height < (std::int64_t{1} << 32) && problem.height <= kMostRows;
}

/// "" where the size, the constants and the device are within what 32-bit indices and fp16 operands allow.
inline std::string within_range(const Problem& p, int capability) {
  if (const int found = compute_capability(); found != 0 && found < capability) {
    return "needs compute capability " + std::to_string(capability / 10) + "." + std::to_string(capability % 10);
  }
  constexpr std::int64_t limit = std::int64_t{1} << 30;
  if (p.height > limit || p.width > limit || p.planes() > limit) return "height, width and planes up to 2^30";
  // The taps' own error is 7e-6 at worst and 3e-7 on average where the window is cut off at the border.
  // With few rows or columns of windows it averages out as little: 2e-5 of a gradient where there is one window.
  if (p.height < 16) return "fp16 weights: height from 16";
  if (p.width < 16) return "fp16 weights: width from 16";
  if (p.counted() < 1024) return "fp16 weights: from 1024 positions";
  // The range of the images is not known, but constants are made for one.
  // At 0.3 and 34 errors are three to five times those at 1.
  if (p.c1 < 2.4e-5f || p.c1 > 4.1e-4f || p.c2 < 2.2e-4f || p.c2 > 3.7e-3f) {
    return "fp16 operands: constants of a data range from 0.5 to 2";
  }
  return "";
}

inline Status make_maps(Maps& maps, const Problem& p, const Arguments& arguments) {
  const Status status =
      make_tensor_map(maps.x, arguments.x, p.planes(), p.height, p.width, p.width, kGroup, kLoadColumns);
  if (!status) return status;
  return make_tensor_map(maps.y, arguments.y, p.planes(), p.height, p.width, p.width, kGroup, kLoadColumns);
}

inline Status make_row_maps(TensorMap (&maps)[kRowMaps], int& first_shift, const Problem& p, const float* base) {
  const std::int64_t rows = p.planes() * p.height;
  const auto shift_of = [](const float* row) {
    return static_cast<int>(reinterpret_cast<std::uintptr_t>(row) / sizeof(float) % 4);
  };
  first_shift = shift_of(base);
  for (int i = 0; i < kRowMaps; ++i) {
    const float* const first = base + i * p.width;
    const int shift = shift_of(first);
    const Status status = make_tensor_map(maps[i], first - shift, 1, (rows - i + kRowMaps - 1) / kRowMaps,
                                          p.width + shift, kRowMaps * p.width, kGroup / kRowMaps, kLoadColumns);
    if (!status) return status;
  }
  return {};
}

inline Status make_maps(RowMaps& maps, const Problem& p, const Arguments& arguments) {
  const Status status = make_row_maps(maps.x, maps.shift_x, p, arguments.x);
  return status ? make_row_maps(maps.y, maps.shift_y, p, arguments.y) : status;
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
