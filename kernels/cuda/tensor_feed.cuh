// SPDX-License-Identifier: MIT
// Images into shared memory, eight rows of a strip at a time, ahead of the arithmetic: by tensor copies (TMA), or by
// asynchronous copies of 16 or 4 bytes where those cannot go. And which strips and rows a block works on.
//
// The work is a line of strips, each of `groups` groups of 8 output rows behind `fill` groups that only begin sums.
// Every block takes an equal share of that line, so blocks end together whatever the shape; a share that begins inside
// of a strip begins its sums anew.
#pragma once

#include "primitives_tensor.cuh"
#include "tensor_operands.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kBoxColumns = 128;  // columns of statistics that a box of pixels is for
inline constexpr int kLoadColumns = kBoxColumns + 2 * kReach;
inline constexpr int kMostResident = 3;  // blocks of four warps on a multiprocessor: as many as registers allow
inline constexpr int kWarpsOfBox = 4, kWarpColumns = kBoxColumns / kWarpsOfBox;

/// How the work is divided. Rows and columns are those of the image.
struct Plan {
  int strips, groups;             // of a plane, of a strip
  int lead;                       // groups above an output group that it needs, and as many below
  int strip_columns;              // output columns of a strip
  int origin_column, origin_row;  // of the first outputs
  int share, longer;              // blocks before `longer` take share + 1 steps, the others share
};

/// Consecutive groups of output rows of one strip.
struct Segment {
  int plane, column, first, outputs;
};

/// Equal shares of the line for `blocks`.
inline void divide(Plan& plan, std::int64_t planes, std::int64_t blocks) {
  const std::int64_t line = planes * plan.strips * (plan.groups + 2 * plan.lead);
  plan.share = static_cast<int>(line / blocks);
  plan.longer = static_cast<int>(line % blocks);
}

/// The next segment with any output of a block's share, of which `done` steps have been handed out. False at the end.
__device__ __forceinline__ bool next_segment(const Plan& p, int& done, Segment& segment) {
  const int block = blockIdx.x, fill = 2 * p.lead;
  const int begin = block * p.share + (block < p.longer ? block : p.longer);
  const int share = p.share + (block < p.longer ? 1 : 0);
  while (done < share) {
    const unsigned at = begin + done, length_of_strip = p.groups + fill, strips = p.strips;
    const unsigned strip = at / length_of_strip;
    const int group = static_cast<int>(at - strip * length_of_strip);
    const int rest = static_cast<int>(length_of_strip) - group, left = share - done;
    const int length = left < rest ? left : rest;
    segment.plane = static_cast<int>(strip / strips);
    segment.column = p.origin_column + static_cast<int>(strip % strips) * p.strip_columns;
    segment.first = group > fill ? group - fill : 0;
    segment.outputs = group + length - fill - segment.first;
    done += length;
    if (segment.outputs > 0) return true;
  }
  return false;
}

/// Where the next load goes: 2 `lead` more groups than outputs, from `lead` above the first.
struct Cursor {
  int done, plane, column, row, left;

  __device__ __forceinline__ void begin() { done = left = 0; }

  __device__ __forceinline__ bool advance(const Plan& p) {
    if (left == 0) {
      Segment segment;
      if (!next_segment(p, done, segment)) return false;
      plane = segment.plane;
      column = segment.column - p.lead * kReach;
      row = p.origin_row + (segment.first - p.lead - 1) * kGroup;
      left = segment.outputs + 2 * p.lead;
    }
    row += kGroup;
    --left;
    return true;
  }
};

/// A step's pixels: boxes side by side, 128 columns apart, each with its own margins.
template <int kBoxes>
struct alignas(128) Stage {
  float x[kBoxes][kGroup][kLoadColumns], y[kBoxes][kGroup][kLoadColumns];
};

/// A thread's first pixel of those that its warp needs, in x or y of a stage.
__device__ __forceinline__ int first_pixel(int thread) {
  const int lane = thread % 32, warp = thread / 32;
  return (warp / kWarpsOfBox * kGroup + lane / 4) * kLoadColumns + warp % kWarpsOfBox * kWarpColumns + lane % 4 * 4;
}

/// Stages that tensor copies fill and warps empty. Loads are numbered from 0.
template <int kBoxes, int kStages>
struct TensorRing {
  Stage<kBoxes> stage[kStages];
  Mbarrier full[kStages], empty[kStages];
  Cursor cursor;  // of the one thread that loads; here, so that the others need no registers for it
  unsigned started;

  /// One thread; a barrier of the block must follow.
  __device__ __forceinline__ void init(unsigned readers) {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(full[i], 1);
      mbarrier_init(empty[i], readers);
    }
    fence_mbarrier_init();
    started = 0;
  }

  /// One thread: asks for the next 8 rows of both images, zeros outside included. False where there are no more.
  __device__ __forceinline__ bool load(const Plan& plan, const TensorMap& map_x, const TensorMap& map_y) {
    Cursor at = cursor;
    if (!at.advance(plan)) return false;
    cursor = at;
    const unsigned index = started, slot = index % kStages;
    started = index + 1;
    if (index >= kStages) mbarrier_wait(empty[slot], (index / kStages & 1) ^ 1);
    mbarrier_arrive_expect(full[slot], sizeof(Stage<kBoxes>));
    for (int i = 0; i < kBoxes; ++i) {
      copy_box(stage[slot].x[i], map_x, at.plane, at.row, at.column + i * kBoxColumns, full[slot]);
      copy_box(stage[slot].y[i], map_y, at.plane, at.row, at.column + i * kBoxColumns, full[slot]);
    }
    return true;
  }

  __device__ __forceinline__ const Stage<kBoxes>& wait(unsigned index) {
    mbarrier_wait(full[index % kStages], index / kStages & 1);
    return stage[(index + (SSIM_DEFECT(ring_index) ? 1 : 0)) % kStages];
  }

  /// The warp has read that load.
  __device__ __forceinline__ void release(unsigned index) {
    sync_warp();
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty[index % kStages]);
  }
};

/// Tensor copies for a block of four warps, one of which also asks for them.
class TensorFeed {
 public:
  static constexpr bool kUsesMaps = true;
  static constexpr int kCopyBytes = 0;
  static constexpr int kBoxes = 1, kWarps = kWarpsOfBox;
  static constexpr int kStages = 5;
  static constexpr int kAhead = kStages - 2;  // loads ahead of the arithmetic; the rest is how far warps may drift
  using Memory = TensorRing<kBoxes, kStages>;

  template <typename Parameters>
  __device__ __forceinline__ TensorFeed(const Parameters& p, Memory& ring)
      : plan_(p.plan), map_x_(p.map_x), map_y_(p.map_y), ring_(ring) {
    // Blocks that share a multiprocessor have it done by different warps, whose schedulers then share the work.
    asks_ = threadIdx.x == blockIdx.x * kMostResident / gridDim.x * 32;
    if (asks_) ring.init(kWarps);
    sync_block();
  }

  /// Starts the block's share.
  __device__ __forceinline__ void begin() {
    if (!asks_) return;
    ring_.cursor.begin();
    for (int i = 0; i < kAhead; ++i) ring_.load(plan_, map_x_, map_y_);
  }

  /// The next eight rows.
  __device__ __forceinline__ const Stage<kBoxes>& acquire() {
    if (asks_) ring_.load(plan_, map_x_, map_y_);
    return ring_.wait(taken_);
  }

  /// This warp has read them.
  __device__ __forceinline__ void release() { ring_.release(taken_++); }

  __device__ __forceinline__ void finish() {}

 private:
  const Plan& plan_;
  const TensorMap &map_x_, &map_y_;
  Memory& ring_;
  bool asks_;
  unsigned taken_ = 0;
};

/// Tensor copies for three boxes side by side, twelve warps that take them, and four more of which one asks. Asking
/// costs a warp about 100 instructions and much waiting a step; among the twelve it would hold up all of them.
class ProducedFeed {
 public:
  static constexpr bool kUsesMaps = true;
  static constexpr int kBoxes = 3, kWarps = kBoxes * kWarpsOfBox, kProducerWarps = 4;
  static constexpr int kStages = 7;
  static constexpr int kRegisters = 160, kProducerRegisters = 24;  // of a thread: 64512 in all
  using Memory = TensorRing<kBoxes, kStages>;

  __device__ __forceinline__ explicit ProducedFeed(Memory& ring) : ring_(ring) {}

  __device__ __forceinline__ void begin() {}
  __device__ __forceinline__ const Stage<kBoxes>& acquire() { return ring_.wait(taken_); }
  __device__ __forceinline__ void release() { ring_.release(taken_++); }
  __device__ __forceinline__ void finish() {}

 private:
  Memory& ring_;
  unsigned taken_ = 0;
};

/// Asynchronous copies of kBytes each, by all threads of a block of four warps.
template <int kBytes>
class CopyFeed {
 public:
  static constexpr bool kUsesMaps = false;
  static constexpr int kBoxes = 1, kWarps = kWarpsOfBox;
  static constexpr int kCopyBytes = kBytes;
  static constexpr int kStages = 4, kAhead = 2;

  struct Memory {
    Stage<1> stage[kStages];
    Cursor cursor;  // of thread 0
    struct {
      int plane, column, row, any;
    } next[2];                    // what it found, for all; used in turn
    unsigned taken[32 * kWarps];  // of each thread, for the sake of registers
  };

  template <typename Parameters>
  __device__ __forceinline__ CopyFeed(const Parameters& p, Memory& memory)
      : plan_(p.plan), x_(p.x), y_(p.y), width_(p.width), height_(p.height), memory_(memory) {
    memory.taken[threadIdx.x] = 0;
  }

  __device__ __forceinline__ void begin() {
    if (threadIdx.x == 0) memory_.cursor.begin();
    for (int i = 0; i < kAhead; ++i) load(i);
  }

  __device__ __forceinline__ const Stage<1>& acquire() {
    copy_wait<kAhead - 1>();
    // Its barrier shows everyone's copies to all, and that the stage which is loaded next has been read.
    unsigned& taken = memory_.taken[current_thread()];
    load(taken + kAhead);
    return memory_.stage[taken++ % kStages];
  }

  __device__ __forceinline__ void release() {}

  __device__ __forceinline__ void finish() { copy_wait<0>(); }

 private:
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kPixels = kBytes / 4, kChunks = kLoadColumns / kPixels;

  __device__ __forceinline__ void load(unsigned index) {
    auto& next = memory_.next[index % 2];
    if (threadIdx.x == 0) {
      Cursor cursor = memory_.cursor;
      next.any = cursor.advance(plan_);
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
  __device__ __forceinline__ void copy(Stage<1>& stage, int plane, int column, int row) {
    constexpr int kColumns = kChunks < kThreads ? kChunks : kThreads, kRowsAtOnce = kThreads / kColumns;
    const int start = static_cast<int>(threadIdx.x) / kColumns, own = static_cast<int>(threadIdx.x) % kColumns;
    if (start >= kRowsAtOnce) return;
    const std::int64_t first_row = static_cast<std::int64_t>(plane) * height_ + row;
#pragma unroll 1
    for (int chunk = own; chunk < kChunks; chunk += kColumns) {
      const int at = column + chunk * kPixels;
      const bool column_inside = at >= 0 && at < width_;
#pragma unroll 1
      for (int r = start; r < kGroup; r += kRowsAtOnce) {
        const bool inside = column_inside && row + r >= 0 && row + r < height_;
        const std::int64_t from = inside ? (first_row + r) * width_ + at : 0;
        copy_async<kBytes>(&stage.x[0][r][chunk * kPixels], x_ + from, inside);
        copy_async<kBytes>(&stage.y[0][r][chunk * kPixels], y_ + from, inside);
      }
    }
  }

  const Plan& plan_;
  const float *const &x_, *const &y_;
  const int &width_, &height_;
  Memory& memory_;
};

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
