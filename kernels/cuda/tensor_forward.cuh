// SPDX-License-Identifier: MIT
// The mean SSIM on tensor cores at fp32 accuracy, in one launch. Rows `tensor` and `tensor_portable` are this kernel
// with different feeds.
//
// The idea: tensor_statistics.cuh gives four statistics a position; what is left is SSIM itself and its sum.
//
// Cost model (one warp, one step = 32 columns x 8 rows): 56 products of depth 16, 14 of depth 8, 56 packs, 54
// operations on fp16 pairs, 152 on fp32, 4 reciprocals, 6 loads; reports/lab-notes.md weighs them.
#pragma once

#include <type_traits>

#include "block_mean.cuh"
#include "range_fallback.cuh"
#include "tensor_statistics.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

/// A thread's sums of 1 - SSIM, in shared memory because registers are scarce.
struct ForwardTotal {
  double done;     // of segments that are through
  float2 segment;  // half of the current one's, in two fp32 numbers
};

/// What counts of the current segment.
struct ForwardPlace {
  int counts;     // bit i: the lane's column g + 8 i does
  int rows_left;  // from the next output group to the last row that does
};

/// One warp's state. kRoomy: there are registers for what is kept in shared memory otherwise.
template <typename AnyParameters, bool kRoomy>
class ForwardWarp {
 public:
  __device__ __forceinline__ ForwardWarp(const AnyParameters& p, ForwardTotal& total, ForwardPlace& place,
                                         fallback::Buffer& buffer)
      : p_(p), total_(total), place_(place), buffer_(buffer), statistics_(p.statistics) {
    total_ = {0, {0, 0}};
  }

  /// The plane's sample is waited for in begin().
  __device__ __forceinline__ static SamplePixels ask(const AnyParameters& p, const Segment& segment) {
    const Place place = place_of_warp(p, segment);
    return sample_pixels(p.x, p.y, place.plane < p.plan.planes ? place.plane : 0, p.height, p.width);
  }

  __device__ __forceinline__ void begin(const Segment& segment, const SamplePixels& sampled) {
    const Place place = place_of_warp(p_, segment);
    const bool any = place.plane < p_.plan.planes;
    const int g = threadIdx.x % 32 / 4;
    int counts = 0;
    for (int i = 0; i < 4; ++i) {
      const int column = place.column + 8 * i + g;
      if (any && column >= p_.margin && column < p_.width - p_.margin) counts |= 1 << i;
    }
    here().counts = counts;
    const int row = p_.plan.origin_row + (segment.first - 1) * kGroup + g;
    pixels_row_ = shifted_row(p_.maps, place.plane, p_.height, p_.width, row,
                              place.column - kReach + static_cast<int>(threadIdx.x % 4 * 4));
    const Sample sample = plane_sample(sampled, p_.statistics.range);
    statistics_.begin(sample);
    if (any && sample.bright) total_.segment.x = kNotFinite;
    here().rows_left = p_.height - 2 * p_.margin - segment.first * kGroup;
  }

  /// Whole warp: whether none of its columns counts in this segment. With `some`, whether any does not.
  __device__ __forceinline__ bool outside(bool some) {
    return some ? ballot(here().counts == 15) != 0xffffffffu : ballot(here().counts != 0) == 0;
  }

  template <Turn kTurn, bool kOutput, typename AnyFeed>
  __device__ __forceinline__ void step(AnyFeed& feed, const Zeros& zeros) {
    const auto& stage = feed.acquire();
    const auto pixels = [&] {
      if constexpr (AnyFeed::kRowsApart) {
        return pixels_of(stage, zeros, pixels_row_, p_.height);
      } else {
        return pixels_of(stage);
      }
    };
    statistics_.step<kTurn, kOutput, true>(
        pixels(), [&](unsigned zero) { feed.release(zero); },
        [&](int tile, float(&out)[kStatistics][4]) {
          const int rows = here().rows_left;
          if (tile == 1) here().rows_left = rows - kGroup;
          if (rows < kGroup) keep_rows(out, rows);
          if constexpr (kRoomy) {
            add_pair(out, 0, loss_[2 * tile]);
            add_pair(out, 2, loss_[2 * tile + 1]);
          } else {
            const int counts = here().counts >> 2 * tile;
            float left = 0, right = 0;
            add_pair(out, 0, left);
            add_pair(out, 2, right);
            loss_[0] += (counts & 1 ? left : 0) + (counts & 2 ? right : 0);
          }
        });
    if (AnyFeed::kRowsApart) pixels_row_.advance();
  }

  /// Adds what the steps since the last call gave to the segment's total.
  __device__ __forceinline__ void flush() {
    float sum = 0;
    for (int i = 0; i < kSums; ++i) {
      sum += !kRoomy || here().counts & 1 << i ? loss_[i] : 0;
      loss_[i] = 0;
    }
    add_to_total(total_.segment, sum);
  }

  /// Adds the segment's total, or what plain fp32 makes of the warp's columns where fp16 could not hold them.
  __device__ __forceinline__ void end(const Segment& segment) {
    double sum = 2 * (static_cast<double>(total_.segment.x) + static_cast<double>(total_.segment.y));
    if (ballot(!is_finite(total_.segment.x)) != 0) {  // or set so, where the plane is known to be out of range
      const fallback::Images images{p_.x, p_.y, p_.width, p_.height, p_.margin, p_.c1, p_.c2};
      const int first = p_.plan.origin_row + segment.first * kGroup, end = first + segment.outputs * kGroup;
      const int last = p_.height - p_.margin;
      const Place place = place_of_warp(p_, segment);
      sum = fallback::value(images, {place.plane, place.column, first, end < last ? end : last}, buffer_);
    }
    total_.done += sum;
    total_.segment = {0, 0};
  }

  __device__ __forceinline__ double total() const { return total_.done; }

 private:
  /// Output rows from `rows` on do not count: with all statistics zero their 1 - SSIM is zero.
  __device__ __forceinline__ static void keep_rows(float (&out)[kStatistics][4], int rows) {
    sync_warp();  // keeps the compiler from doing all this every time, with predicates
    for (int i = 0; i < kStatistics; ++i) {
      for (int j = 0; j < 4; ++j) {
        if (static_cast<int>(threadIdx.x % 4) * 2 + j % 2 >= rows) out[i][j] = 0;
      }
    }
  }

  /// (1 - SSIM) / 2 of two rows of one column, over one reciprocal: (m g + a e) / ((a + m)(g + e)).
  __device__ __forceinline__ void add_pair(const float (&out)[kStatistics][4], int i, float& loss) {
    float above[2], below[2];
    for (int j = 0; j < 2; ++j) {
      const Terms t = statistics_.terms(out, i + j);
      above[j] = fma(t.m, t.g, t.a * t.e);
      below[j] = (t.a + t.m) * (t.g + t.e);
    }
    loss = fma(fma(above[0], below[1], above[1] * below[0]), reciprocal_fast(below[0] * below[1]), loss);
  }

  __device__ __forceinline__ static Place place_of_warp(const AnyParameters& p, const Segment& segment) {
    const int warp = threadIdx.x / 32;
    const Place place = place_of(p.plan, segment.strip + warp / kWarpsOfBox);
    return {place.plane, place.column + warp % kWarpsOfBox * kWarpColumns};
  }

  __device__ __forceinline__ ForwardPlace& here() {
    if constexpr (kRoomy) {
      return own_;
    } else {
      return place_;
    }
  }

  static constexpr int kSums = kRoomy ? 4 : 1;

  const AnyParameters& p_;
  ForwardTotal& total_;
  ForwardPlace& place_;
  fallback::Buffer& buffer_;
  Statistics statistics_;
  ForwardPlace own_ = {0, 0};
  ShiftedRow pixels_row_;
  float loss_[kSums] = {};  // (1 - SSIM) / 2, one a column of the lane where there is room
};

template <typename Feed>
using ForwardParameters = WithMaps<Parameters, typename Feed::Maps>;

template <typename Feed>
struct ForwardMemory {
  typename Feed::Memory feed;
  ForwardTotal totals[32 * Feed::kWarps];
  ForwardPlace places[32 * Feed::kWarps];
  fallback::Buffer buffers[Feed::kWarps];
  Zeros zeros;
  BlockMean mean;
};

/// The block's share of the work, by the warps that compute; the sum of 1 - SSIM over the positions of this lane.
template <typename Feed>
__device__ __forceinline__ double forward(const ForwardParameters<Feed>& p, Feed& feed, ForwardMemory<Feed>& memory) {
  // Three blocks a multiprocessor with tensor copies, or registers taken over: that leaves a few.
  using Warp = ForwardWarp<ForwardParameters<Feed>, Feed::kUsesMaps && kRegistersMove>;
  Segment segment;
  int done = 0;
  const bool any = next_segment(p.plan, done, segment);
  SamplePixels sampled{0, 0};
  if (any) sampled = Warp::ask(p, segment);  // first of all, because it takes long to come
  Warp warp(p, memory.totals[threadIdx.x], memory.places[threadIdx.x], memory.buffers[threadIdx.x / 32]);
  if (Feed::kRowsApart && threadIdx.x < sizeof(Zeros) / sizeof(float)) memory.zeros.value[threadIdx.x] = 0;
  feed.begin();
  bool ready = false;
  for (bool more = any; more;) {
    warp.begin(segment, sampled);
    if (!ready) feed.ready();
    ready = true;
    if (Feed::kBoxes > 1 && warp.outside(SSIM_DEFECT(tail_warps_idle))) {  // leaves its scheduler to the others
#pragma unroll 1
      for (int left = segment.outputs + 2; left > 0; --left) {
        feed.acquire();
        feed.release(0);
      }
    } else {
      warp.template step<Turn::first, false>(feed, memory.zeros);
      warp.template step<Turn::second, false>(feed, memory.zeros);
      for (int left = segment.outputs;;) {
        warp.template step<Turn::first, true>(feed, memory.zeros);
        if (--left == 0) break;
        warp.template step<Turn::second, true>(feed, memory.zeros);
        warp.flush();
        if (--left == 0) break;
      }
      warp.flush();
    }
    warp.end(segment);
    more = next_segment(p.plan, done, segment);
    if (more) sampled = Warp::ask(p, segment);
  }
  if (!ready) feed.ready();
  feed.finish();
  return warp.total();
}

/// Blocks on a multiprocessor: as many as registers allow, if their shared memory (and 1 KB that the system keeps of
/// each) fits.
template <typename Feed>
constexpr int resident_blocks(int shared_bytes) {
  const int fit = shared_bytes / static_cast<int>(sizeof(ForwardMemory<Feed>) + 1024);
  return fit < 1 ? 1 : fit < Feed::kResident ? fit : Feed::kResident;
}

/// Blocks of four warps, two or three on a multiprocessor.
template <typename Feed>
__global__ void __launch_bounds__(32 * kWarpsOfBox, resident_blocks<Feed>(kSharedBytesOfMultiprocessor))
    tensor_forward(const __grid_constant__ ForwardParameters<Feed> p) {
  auto& memory = shared<ForwardMemory<Feed>>();
  Feed feed(p, memory.feed);
  if constexpr (Feed::kUsesMaps) wait_for_kernels_before();
  const double total = forward(p, feed, memory);
  if constexpr (Feed::kUsesMaps) let_next_begin();
  finish_mean<32 * Feed::kWarps>(total, memory.mean, p.mean);
}

template <typename Feed>
inline constexpr int kWideThreads = 32 * (Feed::kWarps + Feed::kProducerWarps);

/// One block of twelve warps on a multiprocessor, and four whose registers the twelve take over.
template <typename Feed>
__global__ void __launch_bounds__(kWideThreads<Feed>, 1)
    tensor_forward_wide(const __grid_constant__ ForwardParameters<Feed> p) {
  if constexpr (kRegistersMove) {
    auto& memory = shared<ForwardMemory<Feed>>();
    constexpr int kProducer = 32 * Feed::kWarps;
    double total = 0;
    if (threadIdx.x < kProducer) {
      raise_registers<Feed::kRegisters>();
      Feed feed(memory.feed);
      wait_for_kernels_before();
      total = forward(p, feed, memory);
    } else {
      lower_registers<Feed::kProducerRegisters>();
      if (threadIdx.x == kProducer) {
        p.maps.prefetch();
        memory.feed.init(Feed::kWarps);
      }
      wait_for_kernels_before();
      const int part = uniform(static_cast<int>(threadIdx.x - kProducer) / 32);
      const bool asks = part < Feed::kAskers;
      if (asks && threadIdx.x % 32 == 0) memory.feed.begin(part);
      // Before the barrier, because it takes long to come.
      if (asks && Feed::kAskers == 1) memory.feed.load(p.plan, p.maps, p.height, part);
      sync_roles<kWideThreads<Feed>, Role::second>();
      if (asks) {
        while (memory.feed.load(p.plan, p.maps, p.height, part)) {
        }
      }
      sync_warp();
    }
    let_next_begin();
    finish_mean<kWideThreads<Feed>>(total, memory.mean, p.mean);
  }
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
