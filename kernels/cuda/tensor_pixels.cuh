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
  static constexpr int kStrips = 1;  // these two: tensor_train_memory.cuh
  static constexpr bool kWhole = false;
  TensorMap x, y;

  /// One thread, as early as can be: a copy waits for its map.
  __device__ __forceinline__ void prefetch() const {
    prefetch_map(x);
    prefetch_map(y);
  }
};

inline constexpr int kRowMaps = 4;  // of an image: a power of two

/// Of others. Four rows always are a multiple, so rows 0, 4, 8 ... of all planes are one map, rows 1, 5, 9 ... the
/// next; each begins up to three floats, its shift, before its first row. A copy begins at a multiple of 16 bytes of
/// its map (or it is an illegal instruction), so in shared memory too rows are shifted. What a copy cannot know is left
/// to pixels_of: to the left of a row is the end of the one before, and above and below a plane is another.
struct RowMaps {
  static constexpr bool kRowsApart = true;
  static constexpr int kStrips = 1;
  static constexpr bool kWhole = false;
  TensorMap x[kRowMaps], y[kRowMaps];
  int shift_x, shift_y;  // of row 0

  __device__ __forceinline__ void prefetch() const {
    for (int i = 0; i < kRowMaps; ++i) {
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

/// Where a lane's pixels are where rows are apart: its row, which is that of all its steps less a multiple of eight,
/// and its shifts, which are therefore the same for all of a plane.
class ShiftedRow {
 public:
  ShiftedRow() = default;
  __device__ __forceinline__ ShiftedRow(int row, int x, int y, bool left) : row_(row), x_(x), y_(y), left_(left) {}

  __device__ __forceinline__ int row() const { return row_; }
  __device__ __forceinline__ int x() const { return x_; }
  __device__ __forceinline__ int y() const { return y_; }
  __device__ __forceinline__ bool left() const { return left_; }  // its first pixels are outside of the image

  /// Eight rows on.
  __device__ __forceinline__ void advance() { row_ += kGroup; }

 private:
  int row_ = 0, x_ = 0, y_ = 0;
  bool left_ = false;
};

/// The same in one register, where there are few. As one number it changes from step to step, so the compiler cannot
/// have each part ready in a register of its own.
class PackedShiftedRow {
 public:
  PackedShiftedRow() = default;
  __device__ __forceinline__ explicit PackedShiftedRow(const ShiftedRow& row)
      : bits_(row.row() * kRow + (row.x() | row.y() << 2 | (row.left() ? kLeft : 0))) {}

  __device__ __forceinline__ int row() const { return bits_ >> kShift; }
  __device__ __forceinline__ int x() const { return bits_ & 3; }
  __device__ __forceinline__ int y() const { return bits_ >> 2 & 3; }
  __device__ __forceinline__ bool left() const { return bits_ & kLeft; }
  __device__ __forceinline__ void advance() { bits_ += kGroup * kRow; }

 private:
  static constexpr int kLeft = 16, kShift = 5, kRow = 1 << kShift;
  int bits_ = 0;
};

/// Rows that a packed one can stand for, with some to spare.
inline constexpr std::int64_t kMostRows = std::int64_t{1} << 25;

/// Read in place of pixels outside.
struct Zeros {
  float value[3 * 16];
};

/// Of a lane whose first pixel is in that row and column of a plane.
template <typename AnyMaps>
__device__ __forceinline__ ShiftedRow shifted_row(const AnyMaps& maps, int plane, int height, int width, int row,
                                                  int column) {
  if constexpr (AnyMaps::kRowsApart) {
    const bool left = column < 0 && !SSIM_DEFECT(row_before_read);
    if (SSIM_DEFECT(shift_ignored)) return {row, 0, 0, left};
    const auto all = static_cast<unsigned>(plane) * static_cast<unsigned>(height) + static_cast<unsigned>(row);
    const int more = static_cast<int>(all & 3) * (width & 3);
    return {row, (maps.shift_x + more) & 3, (maps.shift_y + more) & 3, left};
  } else {
    return {row, 0, 0, false};
  }
}

template <typename AnyStage>
__device__ __forceinline__ Pixels pixels_of(const AnyStage& stage) {
  const int pixel = first_pixel<false>(current_thread());
  return {&stage.x[0][0][0] + pixel, &stage.y[0][0][0] + pixel};
}

/// Of a lane in that row. The last three of a warp's 48 columns count for nothing, and may lie in the next row.
template <typename AnyStage, typename AnyShiftedRow>
__device__ __forceinline__ ShiftedPixels pixels_of(const AnyStage& stage, const Zeros& zeros, const AnyShiftedRow& row,
                                                   int height) {
  const int thread = current_thread(), pixel = first_pixel<true>(thread);
  const float* const none = zeros.value;
  const bool inside = static_cast<unsigned>(row.row()) < static_cast<unsigned>(height) || SSIM_DEFECT(next_plane_read);
  const float* const x = inside ? &stage.x[0][0][0] + pixel + row.x() : none;
  const float* const y = inside ? &stage.y[0][0][0] + pixel + row.y() : none;
  const bool left = row.left(), last = thread % 4 == 3;
  return {x, y, left ? none : x, left ? none : y, last ? none : x, last ? none : y};
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
