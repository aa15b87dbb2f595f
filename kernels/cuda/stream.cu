// SPDX-License-Identifier: MIT
// stream (CUDA): rows streamed through shared memory, vertical sums pending in registers, value and gradient in one
// pass over the images. FP32 throughout.
//
// Idea: sums over 11 rows are chains of pending sums: with each new row h of horizontally convolved values
// out = w10 h + a0, a_j = w(9-j) h + a(j+1), a9 = w0 h, so shifting is free and no row is read twice. The statistics
// are the four of the sum/difference basis; s and d are formed once, on the way into shared memory. A pivot, about the
// plane's mean, is taken from s before it is squared.
// stream_rows.cuh: the convolution and how work is cut; stream_value.cuh: infer; stream_train.cuh: train.
// Rows of all strips of all planes form one long line, cut into equal pieces, one for each warp (infer) or block
// (train) that the card can hold: no waves, and only 10 (20) rows a piece are done twice.
// Cost: 8 (12) bytes of DRAM and 80 (140) FMA an element, one launch, the mean included.
// Run: ./suite test --filter 'cuda.*:stream' ; ./suite profile stream
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "primitives_tensor.cuh"
#include "stream_row.hpp"
#include "stream_train.cuh"
#include "stream_value.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

using namespace streaming;

// Fewer rows than this a piece are not worth the rows that are done twice.
constexpr int kShortestValue = 6, kShortestTrain = 8;
// How much faster a worker is when only half of those that fit share its multiprocessor (measured: 1.8 and 1.7).
constexpr double kFewerAreFaster = 1.7;
// And how much slower one of several blocks is than one block of as many warps, which keep step (measured).
constexpr double kSmallBlocksAreSlower = 1.08;

struct Plan {
  Work work;
  std::int64_t blocks;
  int pairs;  // of warps in a block of train
};

struct Card {
  int multiprocessors = SSIM_CUDA_NAMESPACE::multiprocessors(), shared_bytes = shared_bytes_of_multiprocessor();

  // Blocks that a multiprocessor holds, by their registers and shared memory, 1 KB of which the system takes for each.
  int resident(bool train, int pairs) const {
    const std::size_t bytes = !train       ? sizeof(ValueShared)
                              : pairs == 1 ? sizeof(TrainShared<1>)
                                           : sizeof(TrainShared<kMostPairs>);
    const int fit = static_cast<int>(static_cast<std::size_t>(shared_bytes) / (bytes + 1024));
    return std::min(fit, train ? kMostPairs / pairs : kValueBlocks);
  }
};

// Cuts `columns` strips into pieces for the workers that the card holds, `resident` a multiprocessor, or for half of
// them. Either all strips are one line that is cut evenly: then a piece may go on in the next strip, where it begins
// anew. Or each strip is cut evenly, which leaves some workers without a piece. Gives a measure of the time.
double cut(Work& work, std::int64_t columns, int multiprocessors, int resident, bool train) {
  const std::int64_t rows = work.rows, shortest = train ? kShortestTrain : kShortestValue;
  const std::int64_t before = train ? 4 * kHalo + 2 * kLag : 2 * kHalo;  // rows until a run's first result
  double best = 0;
  const auto offer = [&](std::int64_t piece, std::int64_t pitch, std::int64_t runs, double speed) {
    const double time = static_cast<double>(piece + before * runs) / speed;
    if (best != 0 && time >= best) return;
    best = time;
    work.piece = static_cast<int>(piece);
    work.pitch = static_cast<int>(pitch);
    work.lines = columns * pitch;
  };
  for (const int share : {1, 2}) {
    if (share == 2 && resident < 2) break;
    const std::int64_t workers = static_cast<std::int64_t>(multiprocessors) * std::max(resident / share, 1);
    const double speed = share == 1 ? 1 : kFewerAreFaster;
    const std::int64_t piece = std::max((columns * rows + workers - 1) / workers, shortest);
    offer(piece, rows, (piece + rows - 2) / rows + 1, speed);
    if (const std::int64_t parts = std::min(workers / columns, (rows + shortest - 1) / shortest); parts > 0) {
      const std::int64_t part = (rows + parts - 1) / parts;
      offer(part, (rows + part - 1) / part * part, 1, speed);
    }
  }
  return best;
}

Plan plan(const Problem& p, bool train, const Card& card, int pairs, double& time) {
  const int margin = p.padding == Padding::valid ? kHalo : 0;
  // The gradient reaches every pixel; strips of the value begin at a multiple of a vector.
  const int first_row = train ? 0 : margin, first_column = train ? 0 : margin / kValueColumns * kValueColumns;
  const std::int64_t rows = p.height - 2 * first_row, columns = p.width - first_row - first_column;
  const std::int64_t widest = train ? pairs * kWarpColumns - 2 * kBefore : kWarpColumns;
  const std::int64_t strips = (columns + widest - 1) / widest;
  // Equal strips, of whole vectors.
  std::int64_t strip = train ? (columns + 4 * strips - 1) / (4 * strips) * 4 : widest;
  if (strip * (strips - 1) >= columns) strip = widest;  // rounding up has left nothing for the last
  Work work{};
  work.plane_size = p.plane_size();
  work.height = static_cast<int>(p.height);
  work.width = static_cast<int>(p.width);
  work.margin = margin;
  work.strip = static_cast<int>(strip);
  work.strips = static_cast<int>(strips);
  work.first_row = first_row;
  work.first_column = first_column;
  work.most = 400 * std::sqrt(p.c1);
  work.rows = static_cast<int>(rows);
  const int workers_a_block = train ? 1 : kValueWarps;
  time = cut(work, p.planes() * strips, card.multiprocessors, card.resident(train, pairs) * workers_a_block, train);
  const std::int64_t pieces = (work.lines + work.piece - 1) / work.piece;
  return {work, (pieces + workers_a_block - 1) / workers_a_block, pairs};
}

Plan plan(const Problem& p, bool train) {
  const Card card;
  double time, other_time;
  const Plan small = plan(p, train, card, 1, time);
  if (!train || card.resident(train, kMostPairs) == 0) return small;
  const Plan large = plan(p, train, card, kMostPairs, other_time);
  return other_time < time * kSmallBlocksAreSlower ? large : small;
}

Status run(const Problem& p, const Arguments& a, bool train, bool pivot) {
  Plan made = plan(p, train);
  if (!pivot) made.work.most = 0;
  made.work.x = a.x;
  made.work.y = a.y;
  const dim3 grid(static_cast<unsigned>(made.blocks));
  const auto aligned = [&](const void* pointer) {
    return p.width % 4 == 0 && reinterpret_cast<std::uintptr_t>(pointer) % sizeof(Vector<4>) == 0;
  };
  const bool vectors = aligned(a.x) && aligned(a.y) && (!train || aligned(a.grad_x));
  const float c1 = static_cast<float>(2 * kScale * kScale * static_cast<double>(p.c1));
  const float c2 = static_cast<float>(2 * kScale * kScale * static_cast<double>(p.c2));
  const float scale = static_cast<float>(kScale);
  const MeanSum mean = mean_sum(p, a, made.blocks);
  if (!train) {
    const Value all{made.work, c1 * kShrink * kShrink, c2, scale, mean};
    return launch("stream_value", vectors ? stream_value<true> : stream_value<false>, grid, dim3(kValueThreads),
                  sizeof(ValueShared), a.stream, all);
  }
  const float gradient_scale = static_cast<float>(4 * kScale / static_cast<double>(p.counted()));
  const Train all{made.work, c1, c2, scale, gradient_scale, a.weight, a.grad_x, mean};
  const auto start = [&]<int kPairs>(std::integral_constant<int, kPairs>) {
    return launch("stream_train", vectors ? stream_train<true, kPairs> : stream_train<false, kPairs>, grid,
                  dim3(64 * kPairs), sizeof(TrainShared<kPairs>), a.stream, all);
  };
  if (made.pairs == 1) return start(std::integral_constant<int, 1>{});
  return start(std::integral_constant<int, kMostPairs>{});
}

}  // namespace

Implementation streaming::stream_row(const std::string& name, const std::string& idea, bool pivot) {
  return {
      .name = name,
      .idea = idea,
      .device = kDevice,
      .tile = {kShortestTrain, kWarpColumns},
      .centred = pivot,
      .supports = [](const Problem&, Mode) -> std::string { return ""; },
      .workspace_bytes = word_alone,
      .value = [pivot](const Problem& p, const Arguments& a) { return run(p, a, false, pivot); },
      .value_and_grad = [pivot](const Problem& p, const Arguments& a) { return run(p, a, true, pivot); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const bool train = mode == Mode::train;
            return Cost{n * (train ? 12 : 8), n * (train ? 140 : 80), 1};
          },
  };
}

Implementation stream() {
  return streaming::stream_row("stream", "rows streamed, vertical sums pending in registers, gradient in the same pass",
                               true);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
