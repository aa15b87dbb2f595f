// SPDX-License-Identifier: MIT
// Images into shared memory, eight rows of a strip at a time, ahead of the arithmetic: by tensor copies (TMA), or by
// asynchronous copies of 16 or 4 bytes where those cannot go. And which strips and rows a block works on.
//
// The work is a line of strips, each of `groups` groups of 8 output rows behind two groups that only fill the history.
// Every block takes an equal share of that line, so blocks end together whatever the shape; a share that begins inside
// of a strip fills its history anew.
#pragma once

#include "primitives_tensor.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kWarps = 4, kThreads = 32 * kWarps;
inline constexpr int kWarpColumns = 32, kStrip = kWarps * kWarpColumns;  // output columns
inline constexpr int kGroup = 8;                                         // rows of a step
inline constexpr int kReach = 8;                                         // columns loaded on each side
inline constexpr int kLoadColumns = kStrip + 2 * kReach;
inline constexpr int kFill = 2;    // groups before the first output of a strip
inline constexpr int kStages = 4;  // of the ring
inline constexpr int kAhead = 2;   // steps that loads run ahead; kStages - kAhead - 1 steps is how far warps may drift
inline constexpr int kAttempts = 2;  // passes over the images, the second only where the first overflows
inline constexpr int kBlocksPerMultiprocessor = 3;

/// All that the kernel needs to know. Rows and columns are those of the image.
struct Parameters {
  TensorMap map_x, map_y;  // tensor copies alone
  const float *x, *y;
  int width, height;
  int margin;         // positions nearer to the edge do not count
  int origin_column;  // first column of the first strip: margin, rounded down so that loads are aligned
  int strips, groups;
  int share, longer;                    // blocks before `longer` take share + 1 steps, the others share
  unsigned weights[32];                 // fp16 bits of tap i, 0 from tap 11 on
  float pivot, pivot_mean;              // taken from every s; the same in the scale of the means
  float c1, c2;                         // 2 C1 and 2 C2 in the scale of the squared means
  unsigned factor[kAttempts];           // of d^2, fp16 bits in both halves
  float scale_ss, scale_dd[kAttempts];  // from the scales of E[s^2] and factor * E[d^2] to that of the squared means
  double count;
  double* sums;
  unsigned* counter;
  double* mean;
};

/// Consecutive groups of output rows of one strip.
struct Segment {
  int plane, column, first, outputs;
};

/// The next segment with any output of a block's share, of which `done` steps have been handed out. False at the end.
__device__ __forceinline__ bool next_segment(const Parameters& p, int& done, Segment& segment) {
  const int block = blockIdx.x;
  const int begin = block * p.share + (block < p.longer ? block : p.longer);
  const int share = p.share + (block < p.longer ? 1 : 0);
  while (done < share) {
    const unsigned at = begin + done, length_of_strip = p.groups + kFill, strips = p.strips;
    const unsigned strip = at / length_of_strip;
    const int group = static_cast<int>(at - strip * length_of_strip);
    const int rest = static_cast<int>(length_of_strip) - group, left = share - done;
    const int length = left < rest ? left : rest;
    segment.plane = static_cast<int>(strip / strips);
    segment.column = p.origin_column + static_cast<int>(strip % strips) * kStrip;
    segment.first = group > kFill ? group - kFill : 0;
    segment.outputs = group + length - kFill - segment.first;
    done += length;
    if (segment.outputs > 0) return true;
  }
  return false;
}

/// Where the next load goes: kFill more groups than outputs, from the one above the first.
struct Cursor {
  int done, plane, column, row, left;

  __device__ __forceinline__ void begin() { done = left = 0; }

  __device__ __forceinline__ bool advance(const Parameters& p) {
    if (left == 0) {
      Segment segment;
      if (!next_segment(p, done, segment)) return false;
      plane = segment.plane;
      column = segment.column - kReach;
      row = p.margin + (segment.first - 2) * kGroup;
      left = segment.outputs + kFill;
    }
    row += kGroup;
    --left;
    return true;
  }
};

struct Stage {
  float x[kGroup][kLoadColumns], y[kGroup][kLoadColumns];
};

/// Tensor copies: one thread asks for 8 x 144 pixels of both images, zeros outside included.
class TensorFeed {
 public:
  struct Memory {
    Stage stage[kStages];
    Mbarrier full[kStages], empty[kStages];
    Cursor cursor;  // of the one thread that asks; there, so that the others need no registers for it
    unsigned started;
  };

  __device__ __forceinline__ TensorFeed(const Parameters& p, Memory& memory) : p_(p), memory_(memory) {
    // Blocks that share a multiprocessor have it done by different warps, whose schedulers then share the work.
    asks_ = threadIdx.x == blockIdx.x * kBlocksPerMultiprocessor / gridDim.x * 32;
    if (asks_) {
      for (int i = 0; i < kStages; ++i) {
        mbarrier_init(memory.full[i], 1);
        mbarrier_init(memory.empty[i], kWarps);
      }
      fence_mbarrier_init();
      memory.started = 0;
    }
    sync_block();
  }

  /// Starts the block's share from its beginning. All that was loaded before has been taken.
  __device__ __forceinline__ void begin() {
    if (!asks_) return;
    memory_.cursor.begin();
    for (int i = 0; i < kAhead; ++i) load();
  }

  /// The next eight rows.
  __device__ __forceinline__ const Stage& acquire() {
    if (asks_) load();
    mbarrier_wait(memory_.full[taken_ % kStages], taken_ / kStages & 1);
    return memory_.stage[taken_ % kStages];
  }

  /// This warp has read them.
  __device__ __forceinline__ void release() {
    sync_warp();
    if (threadIdx.x % 32 == 0) mbarrier_arrive(memory_.empty[taken_ % kStages]);
    ++taken_;
  }

  __device__ __forceinline__ void finish() {}

 private:
  __device__ __forceinline__ void load() {
    Cursor cursor = memory_.cursor;
    if (!cursor.advance(p_)) return;
    memory_.cursor = cursor;
    const unsigned started = memory_.started, slot = started % kStages;
    memory_.started = started + 1;
    Mbarrier& full = memory_.full[slot];
    Stage& stage = memory_.stage[slot];
    if (started >= kStages) mbarrier_wait(memory_.empty[slot], (started / kStages & 1) ^ 1);
    mbarrier_arrive_expect(full, sizeof(Stage));
    copy_box(stage.x, p_.map_x, cursor.plane, cursor.row, cursor.column, full);
    copy_box(stage.y, p_.map_y, cursor.plane, cursor.row, cursor.column, full);
  }

  const Parameters& p_;
  Memory& memory_;
  bool asks_;
  unsigned taken_ = 0;
};

/// Asynchronous copies of kBytes each, by all threads.
template <int kBytes>
class CopyFeed {
 public:
  struct Memory {
    Stage stage[kStages];
    Cursor cursor;  // of thread 0
    struct {
      int plane, column, row, any;
    } next[2];  // what it found, for all; used in turn
  };

  __device__ __forceinline__ CopyFeed(const Parameters& p, Memory& memory) : p_(p), memory_(memory) {}

  __device__ __forceinline__ void begin() {
    if (threadIdx.x == 0) memory_.cursor.begin();
    for (int i = 0; i < kAhead; ++i) load(taken_ + i);
  }

  __device__ __forceinline__ const Stage& acquire() {
    copy_wait<kAhead - 1>();
    load(taken_ +
         kAhead);  // its barrier shows everyone's copies to all, and that the stage which is loaded next has been read
    return memory_.stage[taken_++ % kStages];
  }

  __device__ __forceinline__ void release() {}

  __device__ __forceinline__ void finish() { copy_wait<0>(); }

 private:
  static constexpr int kPixels = kBytes / 4, kChunks = kLoadColumns / kPixels;

  __device__ __forceinline__ void load(unsigned index) {
    auto& next = memory_.next[index % 2];
    if (threadIdx.x == 0) {
      Cursor cursor = memory_.cursor;
      next.any = cursor.advance(p_);
      next.plane = cursor.plane;
      next.column = cursor.column;
      next.row = cursor.row;
      memory_.cursor = cursor;
    }
    sync_block();
    if (next.any) copy(memory_.stage[index % kStages], next.plane, next.column, next.row);
    copy_commit();
  }

  /// A thread keeps its column, and takes every so-manieth row of it.
  __device__ __forceinline__ void copy(Stage& stage, int plane, int column, int row) {
    constexpr int kColumns = kChunks < kThreads ? kChunks : kThreads, kRowsAtOnce = kThreads / kColumns;
    const int start = static_cast<int>(threadIdx.x) / kColumns, own = static_cast<int>(threadIdx.x) % kColumns;
    if (start >= kRowsAtOnce) return;
    const std::int64_t first_row = static_cast<std::int64_t>(plane) * p_.height + row;
#pragma unroll 1
    for (int chunk = own; chunk < kChunks; chunk += kColumns) {
      const int at = column + chunk * kPixels;
      const bool column_inside = at >= 0 && at < p_.width;
#pragma unroll 1
      for (int r = start; r < kGroup; r += kRowsAtOnce) {
        const bool inside = column_inside && row + r >= 0 && row + r < p_.height;
        const std::int64_t from = inside ? (first_row + r) * p_.width + at : 0;
        copy_async<kBytes>(&stage.x[r][chunk * kPixels], p_.x + from, inside);
        copy_async<kBytes>(&stage.y[r][chunk * kPixels], p_.y + from, inside);
      }
    }
  }

  const Parameters& p_;
  Memory& memory_;
  unsigned taken_ = 0;
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
