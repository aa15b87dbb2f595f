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
  int counts;      // bit i: the lane's column g + 8 i counts
  int rows_left;   // from the next output group to the last row that counts
};

/// One warp's state.
class ForwardWarp {
 public:
  __device__ __forceinline__ ForwardWarp(const Parameters& p, ForwardTotal& total, fallback::Buffer& buffer)
      : p_(p), total_(total), buffer_(buffer), statistics_(p.statistics) {
    total_ = {0, {0, 0}, 0, 0};
  }

  __device__ __forceinline__ void begin(const Segment& segment) {
    const int g = threadIdx.x % 32 / 4;
    int counts = 0;
    for (int i = 0; i < 4; ++i) {
      const int column = segment.column + static_cast<int>(threadIdx.x / 32) * kWarpColumns + 8 * i + g;
      if (column >= p_.margin && column < p_.width - p_.margin) counts |= 1 << i;
    }
    total_.counts = counts;
    const Sample sample = plane_sample(p_.x, p_.y, segment.plane, p_.height, p_.width, p_.statistics.range);
    statistics_.begin(sample);
    if (sample.bright) total_.segment.x = kNotFinite;
    total_.rows_left = p_.height - 2 * p_.margin - segment.first * kGroup;
  }

  template <int kSlot, bool kOutput, typename AnyFeed>
  __device__ __forceinline__ void step(AnyFeed& feed) {
    const auto& stage = feed.acquire();
    const int pixel = first_pixel(current_thread());
    statistics_.step<kSlot, kOutput>(
        &stage.x[0][0][0] + pixel, &stage.y[0][0][0] + pixel, [&] { feed.release(); },
        [&](int tile, float(&out)[kStatistics][4]) {
          const int rows = total_.rows_left;
          if (tile == 1) total_.rows_left = rows - kGroup;
          if (rows < kGroup) keep_rows(out, rows);
          const int counts = total_.counts >> 2 * tile;
          const float left = pair(out, 0), right = pair(out, 2);
          loss_ += (counts & 1 ? left : 0) + (counts & 2 ? right : 0);
        });
  }

  /// Adds what the steps since the last call gave to the segment's total.
  __device__ __forceinline__ void flush() {
    add_to_total(total_.segment, loss_);
    loss_ = 0;
  }

  /// Adds the segment's total, or what plain fp32 makes of the warp's columns where fp16 could not hold them.
  __device__ __forceinline__ void end(const Segment& segment) {
    double sum = 2 * (static_cast<double>(total_.segment.x) + static_cast<double>(total_.segment.y));
    if (ballot(!is_finite(total_.segment.x)) != 0) {  // or set so, where the plane is known to be out of range
      const fallback::Images images{p_.x, p_.y, p_.width, p_.height, p_.margin, p_.c1, p_.c2};
      const int first = p_.plan.origin_row + segment.first * kGroup, end = first + segment.outputs * kGroup;
      const int last = p_.height - p_.margin;
      sum = fallback::value(images,
                            {segment.plane, segment.column + static_cast<int>(threadIdx.x / 32) * kWarpColumns, first,
                             end < last ? end : last},
                            buffer_);
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
  __device__ __forceinline__ float pair(const float (&out)[kStatistics][4], int i) {
    float above[2], below[2];
    for (int j = 0; j < 2; ++j) {
      const Terms t = statistics_.terms(out, i + j);
      above[j] = fma(t.m, t.g, t.a * t.e);
      below[j] = (t.a + t.m) * (t.g + t.e);
    }
    return fma(above[0], below[1], above[1] * below[0]) * reciprocal_fast(below[0] * below[1]);
  }

  const Parameters& p_;
  ForwardTotal& total_;
  fallback::Buffer& buffer_;
  Statistics statistics_;
  float loss_ = 0;  // (1 - SSIM) / 2
};

template <typename Feed>
struct ForwardMemory {
  typename Feed::Memory feed;
  ForwardTotal totals[32 * Feed::kWarps];
  fallback::Buffer buffers[Feed::kWarps];
  BlockMean mean;
};

/// The block's share of the work, by the warps that compute; the sum of 1 - SSIM over the positions of this lane.
template <typename Feed>
__device__ __forceinline__ double forward(const Parameters& p, Feed& feed, ForwardMemory<Feed>& memory) {
  ForwardWarp warp(p, memory.totals[threadIdx.x], memory.buffers[threadIdx.x / 32]);
  feed.begin();
  Segment segment;
  for (int done = 0; next_segment(p.plan, done, segment);) {
    warp.begin(segment);
    warp.template step<0, false>(feed);
    warp.template step<1, false>(feed);
    for (int left = segment.outputs;;) {
      warp.template step<0, true>(feed);
      if (--left == 0) break;
      warp.template step<1, true>(feed);
      warp.flush();
      if (--left == 0) break;
    }
    warp.flush();
    warp.end(segment);
  }
  feed.finish();
  return warp.total();
}

/// Blocks on a multiprocessor: as many as registers allow, if their shared memory (and 1 KB that the system keeps of
/// each) fits.
template <typename Feed>
constexpr int resident_blocks(int shared_bytes) {
  const int fit = shared_bytes / static_cast<int>(sizeof(ForwardMemory<Feed>) + 1024);
  return fit < 1 ? 1 : fit < kMostResident ? fit : kMostResident;
}

/// Bytes of one asynchronous copy; 0: tensor copies.
template <int kCopyBytes>
using FeedOf = std::conditional_t<kCopyBytes == 0, TensorFeed, CopyFeed<kCopyBytes>>;

/// Blocks of four warps, three on a multiprocessor.
template <int kCopyBytes>
__global__ void __launch_bounds__(32 * kWarpsOfBox, resident_blocks<FeedOf<kCopyBytes>>(kSharedBytesOfMultiprocessor))
    tensor_forward(const __grid_constant__ Parameters p) {
  using Feed = FeedOf<kCopyBytes>;
  auto& memory = shared<ForwardMemory<Feed>>();
  Feed feed(p, memory.feed);
  const double total = forward(p, feed, memory);
  finish_mean<32 * Feed::kWarps>(total, memory.mean, p.sums, p.counter, p.count, p.mean);
}

inline constexpr int kWideThreads = 32 * (ProducedFeed::kWarps + ProducedFeed::kProducerWarps);

/// One block of twelve warps on a multiprocessor, and four whose registers the twelve take over.
__global__ void __launch_bounds__(kWideThreads, 1) tensor_forward_wide(const __grid_constant__ Parameters p) {
  if constexpr (kRegistersMove) {
    auto& memory = shared<ForwardMemory<ProducedFeed>>();
    constexpr int kProducer = 32 * ProducedFeed::kWarps;
    if (threadIdx.x == kProducer) memory.feed.init(ProducedFeed::kWarps);
    sync_block();
    double total = 0;
    if (threadIdx.x < kProducer) {
      raise_registers<ProducedFeed::kRegisters>();
      ProducedFeed feed(memory.feed);
      total = forward(p, feed, memory);
    } else {
      lower_registers<ProducedFeed::kProducerRegisters>();
      if (threadIdx.x == kProducer) {
        memory.feed.cursor.begin();
        while (memory.feed.load(p.plan, p.map_x, p.map_y)) {
        }
      }
      sync_warp();
    }
    finish_mean<kWideThreads>(total, memory.mean, p.sums, p.counter, p.count, p.mean);
  }
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
