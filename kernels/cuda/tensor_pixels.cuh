// SPDX-License-Identifier: MIT
// Eight rows of both images in shared memory: how they lie there, where a lane finds its own, and what tensor copies
// (TMA) must know of images to bring them.
//
// A copy needs a pitch of a multiple of 16 bytes, and begins at one. Where base pointers and rows are such (Maps), rows
// lie as they are read, 16 bytes at a time, with zeros outside of the image. Others (RowMaps) cost 18 more loads a lane
// and step and a few pointers.
#pragma once

#include "primitives_tensor.cuh"
#include "tensor_operands.cuh"
#include "tensor_plan.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kLoadColumns = kBoxColumns + 2 * kReach;
inline constexpr int kWarpsOfBox = 4, kWarpColumns = kBoxColumns / kWarpsOfBox;

/// A step's pixels: boxes, each with its own margins.
template <int kBoxes>
struct alignas(128) Stage {
  float x[kBoxes][kGroup][kLoadColumns], y[kBoxes][kGroup][kLoadColumns];
};

/// What tensor copies need to know of images whose base pointers and rows are multiples of 16 bytes.
struct Maps {
  static constexpr bool kRowsApart = false;
  TensorMap x, y;

  /// One thread, as early as can be: a copy waits for its map.
  __device__ __forceinline__ void prefetch() const {
    prefetch_map(x);
    prefetch_map(y);
  }
};

/// Of others. Four rows always are a multiple, so rows 0, 4, 8 ... of all planes are one map, rows 1, 5, 9 ... the
/// next; each begins up to three floats, its shift, before its first row. A copy begins at a multiple of 16 bytes of
/// its map (or it is an illegal instruction), so in shared memory too rows are shifted. What a copy cannot know is left
/// to pixels_of: to the left of a row is the end of the one before, and above and below a plane is another.
struct RowMaps {
  static constexpr bool kRowsApart = true;
  TensorMap x[4], y[4];
  int shift_x, shift_y;  // of row 0

  __device__ __forceinline__ void prefetch() const {
    for (int i = 0; i < 4; ++i) {
      prefetch_map(x[i]);
      prefetch_map(y[i]);
    }
  }
};

/// Where row r of the eight lies in a stage: with rows apart, 0 4 1 5 2 6 3 7.
template <bool kRowsApart>
__device__ __forceinline__ int stage_row(int r) {
  return kRowsApart ? r % 4 * 2 + r / 4 : r;
}

/// A thread's first pixel of those that its warp needs, in x or y of a stage.
template <bool kRowsApart>
__device__ __forceinline__ int first_pixel(int thread) {
  const int lane = thread % 32, warp = thread / 32;
  return (warp / kWarpsOfBox * kGroup + stage_row<kRowsApart>(lane / 4)) * kLoadColumns +
         warp % kWarpsOfBox * kWarpColumns + lane % 4 * 4;
}

/// Where a lane reads a step's pixels, 16 bytes at a time: three blocks of 16 columns.
struct Pixels {
  const float *x, *y;
};

/// Where they are shifted: one pixel at a time, and from elsewhere in the first block and behind the last one's first.
struct ShiftedPixels {
  const float *x, *y, *first_x, *first_y, *last_x, *last_y;
};

/// A lane's shifts. Steps are eight rows, so they are the same for all of a plane.
struct Shifts {
  int x, y;
};

/// Read in place of pixels outside.
struct Zeros {
  float value[3 * 16];
};

/// Of row `row` of all planes.
__device__ __forceinline__ Shifts shifts_of(const RowMaps& maps, std::int64_t row, int width) {
  if (SSIM_DEFECT(shift_ignored)) return {0, 0};
  const int more = static_cast<int>(row & 3) * (width & 3);
  return {(maps.shift_x + more) & 3, (maps.shift_y + more) & 3};
}
template <typename AnyMaps>
__device__ __forceinline__ Shifts shifts_of(const AnyMaps&, std::int64_t, int) {
  return {0, 0};
}

template <typename AnyStage>
__device__ __forceinline__ Pixels pixels_of(const AnyStage& stage) {
  const int pixel = first_pixel<false>(current_thread());
  return {&stage.x[0][0][0] + pixel, &stage.y[0][0][0] + pixel};
}

/// Of a stage which begins with row `row` of the image, for a warp whose pixels begin with column `column`. The last
/// three of its 48 columns count for nothing, and may lie in the next row.
template <typename AnyStage>
__device__ __forceinline__ ShiftedPixels pixels_of(const AnyStage& stage, const Zeros& zeros, Shifts shifts, int row,
                                                   int height, int column) {
  const int thread = current_thread(), pixel = first_pixel<true>(thread), t = thread % 4;
  const float* const none = zeros.value;
  const bool inside =
      static_cast<unsigned>(row + thread % 32 / 4) < static_cast<unsigned>(height) || SSIM_DEFECT(next_plane_read);
  const float* const x = inside ? &stage.x[0][0][0] + pixel + shifts.x : none;
  const float* const y = inside ? &stage.y[0][0][0] + pixel + shifts.y : none;
  const bool left = column + 4 * t < 0 && !SSIM_DEFECT(row_before_read), last = t == 3;
  return {x, y, left ? none : x, left ? none : y, last ? none : x, last ? none : y};
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
