// SPDX-License-Identifier: MIT
// Images into shared memory, eight rows of a strip at a time, ahead of the arithmetic: by tensor copies (TMA), or by
// asynchronous copies of 16 or 4 bytes where those cannot go.
#pragma once

#include "tensor_pixels.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

inline constexpr int kMostResident = 3;  // blocks of four warps on a multiprocessor, with any feed

/// Stages that tensor copies fill and warps empty. Loads are numbered from 0. Each box is a strip of its own, or all
/// are one that is as wide (kStrips = 1).
template <int kBoxes, int kStages, int kAskers, int kStrips>
struct TensorRing {
  static_assert(kRowMaps % kAskers == 0);

  Stage<kBoxes> stage[kStages];
  Mbarrier full[kStages], empty[kStages];
  struct {
    Cursor<kStrips> cursor;  // here, so that other threads need no registers for it
    unsigned started;
  } asker[kAskers];

  /// One thread; the others may use it after a barrier of the block.
  __device__ __forceinline__ void init(unsigned readers) {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(full[i], kAskers);
      mbarrier_init(empty[i], readers);
    }
    fence_mbarrier_init();
  }

  /// One thread, before it asks for the first time.
  __device__ __forceinline__ void begin(int part) {
    asker[part].cursor.begin();
    asker[part].started = 0;
  }

  /// Whole warp: asks for its part of the next 8 rows of both images. False where there are no more.
  template <typename AnyPlan, typename AnyMaps>
  __device__ __forceinline__ bool load(const AnyPlan& plan, const AnyMaps& maps, int height, int part) {
    auto& own = asker[part];
    sync_warp();
    Cursor<kStrips> at = own.cursor;
    const unsigned index = uniform(own.started), slot = index % kStages;
    sync_warp();
    if (!at.advance(plan)) return false;
    if (threadIdx.x % 32 == 0) {
      own.cursor = at;
      own.started = index + 1;
    }
    at.make_uniform();
    if (index >= kStages) mbarrier_wait(empty[slot], (index / kStages & 1) ^ 1);
    if (elected()) ask(slot, maps, height, part, at);
    sync_warp();  // its uniform registers are those of all lanes
    return true;
  }

  __device__ __forceinline__ const Stage<kBoxes>& wait(unsigned index) {
    mbarrier_wait(full[index % kStages], index / kStages & 1);
    return stage[(index + (SSIM_DEFECT(ring_index) ? 1 : 0)) % kStages];
  }

  /// The warp has read that load: its values must be there, not only asked for, or a copy comes in between. `zero`
  /// makes sure of it: it is zero, and made of them.
  __device__ __forceinline__ void release(unsigned index, unsigned zero = 0) {
    sync_warp();
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty[index % kStages + zero]);
  }

 private:
  /// One thread.
  template <typename AnyMaps>
  __device__ __forceinline__ void ask(unsigned slot, const AnyMaps& maps, int height, int part,
                                      const Cursor<kStrips>& at) {
    mbarrier_arrive_expect(full[slot], sizeof(Stage<kBoxes>) / kAskers);
    if constexpr (AnyMaps::kRowsApart) {
      const auto ask_rows = [&](int j) {  // j and j + 4
        for (int i = 0; i < kBoxes; ++i) {
          const Place place = at.place_of_box(i);
          const std::int64_t first = static_cast<std::int64_t>(place.plane) * height + at.row + j;
          const int map = static_cast<int>(first) & (kRowMaps - 1), row = static_cast<int>(first >> 2);
          copy_box(stage[slot].x[i][2 * j], maps.x[map], 0, row, place.column, full[slot]);
          copy_box(stage[slot].y[i][2 * j], maps.y[map], 0, row, place.column, full[slot]);
        }
      };
      if constexpr (kAskers == kRowMaps) {
        ask_rows(part);
      } else {
#pragma unroll 1
        for (int j = part; j < kRowMaps; j += kAskers) ask_rows(j);
      }
    } else {
      static_assert(kAskers == 1);
      for (int i = 0; i < kBoxes; ++i) {
        const Place place = at.place_of_box(i);
        copy_box(stage[slot].x[i], maps.x, place.plane, at.row, place.column, full[slot]);
        copy_box(stage[slot].y[i], maps.y, place.plane, at.row, place.column, full[slot]);
      }
    }
  }
};

/// Tensor copies for a block of four warps, one of which also asks for them.
template <typename AnyMaps>
class TensorFeed {
 public:
  using Maps = AnyMaps;
  static constexpr bool kUsesMaps = true, kRowsApart = Maps::kRowsApart;
  static constexpr int kBoxes = 1, kWarps = kWarpsOfBox;
  static constexpr int kStages = 5;
  static constexpr int kAhead = kStages - 2;  // loads ahead of the arithmetic; the rest is how far warps may drift
  static constexpr int kAskers = kRowsApart ? kWarps : 1;
  static constexpr int kResident = kRowsApart ? 2 : kMostResident;  // as registers allow
  using Memory = TensorRing<kBoxes, kStages, kAskers, kBoxes>;

  template <typename Parameters>
  __device__ __forceinline__ TensorFeed(const Parameters& p, Memory& ring)
      : plan_(p.plan), maps_(p.maps), height_(p.height), ring_(ring) {
    // Blocks that share a multiprocessor have it done by different warps, whose schedulers then share the work.
    const unsigned first = blockIdx.x * kResident / gridDim.x * 32;
    initialises_ = threadIdx.x == first;
    asks_ = kAskers > 1 || uniform(threadIdx.x / 32) == first / 32;
  }

  /// Starts the block's share.
  __device__ __forceinline__ void begin() {
    if (initialises_) {
      maps_.prefetch();
      ring_.init(kWarps);
    }
    const int asker = part();
    if (asks_ && threadIdx.x % 32 == 0) ring_.begin(asker);
    if (kAskers == 1 && asks_) load();  // before the barrier, because it takes long to come
  }

  /// The whole block, between begin and the first acquire.
  __device__ __forceinline__ void ready() {
    sync_block();
    if (!asks_) return;
    for (int i = kAskers == 1 ? 1 : 0; i < kAhead; ++i) load();
  }

  /// The next eight rows.
  __device__ __forceinline__ const Stage<kBoxes>& acquire() {
    if (asks_) load();
    return ring_.wait(taken_);
  }

  /// This warp has read them.
  __device__ __forceinline__ void release(unsigned zero) { ring_.release(taken_++, zero); }

  __device__ __forceinline__ void finish() {}

 private:
  __device__ __forceinline__ static int part() { return kAskers > 1 ? uniform(static_cast<int>(threadIdx.x / 32)) : 0; }
  __device__ __forceinline__ void load() { ring_.load(plan_, maps_, height_, part()); }

  const Plan& plan_;
  const Maps& maps_;
  const int& height_;
  Memory& ring_;
  bool initialises_, asks_;
  unsigned taken_ = 0;
};

/// Tensor copies for three strips, twelve warps that take them, and four more that ask. Asking
/// costs a warp about 100 instructions and much waiting a step; among the twelve it would hold up all of them.
template <typename AnyMaps>
class ProducedFeed {
 public:
  using Maps = AnyMaps;
  static constexpr bool kUsesMaps = true, kRowsApart = Maps::kRowsApart;
  static constexpr int kBoxes = 3, kWarps = kBoxes * kWarpsOfBox, kProducerWarps = 4;
  static constexpr int kStages = 4;
  static constexpr int kRegisters = 160, kProducerRegisters = 24;  // of a thread: 64512 in all
  static constexpr int kAskers = kRowsApart ? kProducerWarps : 1, kResident = 1;
  using Memory = TensorRing<kBoxes, kStages, kAskers, kBoxes>;

  __device__ __forceinline__ explicit ProducedFeed(Memory& ring) : ring_(ring) {}

  __device__ __forceinline__ void begin() {}
  __device__ __forceinline__ void ready() { sync_roles<32 * (kWarps + kProducerWarps), Role::first>(); }
  __device__ __forceinline__ const Stage<kBoxes>& acquire() { return ring_.wait(taken_); }
  __device__ __forceinline__ void release(unsigned zero) { ring_.release(taken_++, zero); }
  __device__ __forceinline__ void finish() {}

 private:
  Memory& ring_;
  unsigned taken_ = 0;
};

/// Asynchronous copies of kBytes each, by all threads of a block of four warps.
template <int kBytes>
class CopyFeed {
 public:
  struct Maps {
    static constexpr bool kRowsApart = false;
  };
  static constexpr bool kUsesMaps = false, kRowsApart = false;
  static constexpr int kBoxes = 1, kWarps = kWarpsOfBox;
  static constexpr int kStages = 4, kAhead = 2, kResident = kMostResident;

  struct Memory {
    Stage<1> stage[kStages];
    Cursor<1> cursor;  // of thread 0
    // Aligned, or ptxas reads more than there is of one.
    struct alignas(16) {
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

  __device__ __forceinline__ void ready() {}

  __device__ __forceinline__ const Stage<1>& acquire() {
    copy_wait<kAhead - 1>();
    // Its barrier shows everyone's copies to all, and that the stage which is loaded next has been read.
    unsigned& taken = memory_.taken[current_thread()];
    load(taken + kAhead);
    return memory_.stage[taken++ % kStages];
  }

  __device__ __forceinline__ void release(unsigned) {}

  __device__ __forceinline__ void finish() { copy_wait<0>(); }

 private:
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kPixels = kBytes / 4, kChunks = kLoadColumns / kPixels;

  __device__ __forceinline__ void load(unsigned index) {
    auto& next = memory_.next[index % 2];
    if (threadIdx.x == 0) {
      Cursor<1> cursor = memory_.cursor;
      next.any = cursor.advance(plan_);
      next.plane = cursor.place[0].plane;
      next.column = cursor.place[0].column;
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
