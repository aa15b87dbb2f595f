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
#include <cstdlib>
#include <cstddef>

#include "stream_train.cuh"
#include "stream_value.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

using namespace streaming;

#ifdef SSIM_TUNE
inline int tune(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}
#else
#define tune(name, otherwise) (otherwise)
#endif

// Fewer rows than this a piece are not worth the rows that are done twice.
constexpr int kShortestValue = 6, kShortestTrain = 8;

struct Plan {
  Work work;
  std::int64_t blocks;
  int pairs;  // of warps of a block; train
};

// Warps of either kind in a block: what leaves the fewest columns idle, and of such the smallest.
int choose_pairs(const Problem& p) {
  if (const int given = tune("SSIM_PAIRS", 0)) return given;
  int best = 0;
  std::int64_t least = 0;
  for (int pairs = 1; pairs <= kMostPairs; pairs *= 2) {
    const std::int64_t columns = pairs * kWarpColumns - 2 * kBefore;
    const std::int64_t warps = (p.width + columns - 1) / columns * pairs;
    if (best == 0 || warps < least) best = pairs, least = warps;
  }
  return best;
}

Plan plan(const Problem& p, bool train) {
  const int margin = p.padding == Padding::valid ? kHalo : 0;
  const int pairs = train ? choose_pairs(p) : 1;
  // The gradient reaches every pixel; strips of the value begin at a multiple of a vector.
  const int first_row = train ? 0 : margin, first_column = train ? 0 : margin / kValueColumns * kValueColumns;
  const std::int64_t rows = p.height - 2 * first_row, columns = p.width - first_row - first_column;
  const std::int64_t widest = train ? pairs * kWarpColumns - 2 * kBefore : kValueStrip;
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
  work.rows = static_cast<int>(rows);
  work.lines = p.planes() * strips * rows;
  const std::int64_t workers =
      static_cast<std::int64_t>(multiprocessors()) * (train ? kMostPairs / pairs : kValueBlocks * kValueWarps);
  const std::int64_t shortest =
      train ? tune("SSIM_SHORTEST_TRAIN", kShortestTrain) : tune("SSIM_SHORTEST_VALUE", kShortestValue);
  work.piece = std::max((work.lines + workers - 1) / workers, shortest);
  const std::int64_t pieces = (work.lines + work.piece - 1) / work.piece;
  return {work, train ? pieces : (pieces + kValueWarps - 1) / kValueWarps, pairs};
}

std::int64_t bytes(const Problem& p, Mode mode) {
  return kControlBytes + (plan(p, mode == Mode::train).blocks * 8 + 255) / 256 * 256;
}

Status run(const Problem& p, const Arguments& a, bool train) {
  Plan made = plan(p, train);
  made.work.x = a.x;
  made.work.y = a.y;
  char* base = static_cast<char*>(a.workspace);
  auto* counter = reinterpret_cast<unsigned*>(base);
  auto* sums = reinterpret_cast<double*>(base + kControlBytes);
  const dim3 grid(static_cast<unsigned>(made.blocks));
  const double count = static_cast<double>(p.counted());
  const auto aligned = [&](const void* pointer) {
    return p.width % 4 == 0 && reinterpret_cast<std::uintptr_t>(pointer) % sizeof(Vector<4>) == 0;
  };
  const bool vectors = aligned(a.x) && aligned(a.y);
  const float c1 = static_cast<float>(2 * kScale * kScale * static_cast<double>(p.c1));
  const float c2 = static_cast<float>(2 * kScale * kScale * static_cast<double>(p.c2));
  const float scale = static_cast<float>(kScale);
  if (!train) {
    const Value all{made.work, c1, c2, scale, count, sums, counter, a.mean};
    return launch("stream_value", vectors ? stream_value<true> : stream_value<false>, grid, dim3(kValueThreads),
                  sizeof(ValueShared), a.stream, all);
  }
  const Train all{made.work, c1,        c2,     scale,           static_cast<float>(4 * kScale / count),
                  count,     a.weight,  a.grad_x, aligned(a.grad_x), sums,
                  counter,   a.mean};
  const std::size_t shared_bytes =
      offsetof(TrainShared, rows) +
      sizeof(float) * static_cast<std::size_t>(image_floats(made.pairs) + field_floats(made.pairs));
  return launch("stream_train", vectors ? stream_train<true> : stream_train<false>, grid, dim3(64 * made.pairs),
                shared_bytes, a.stream, all);
}

}  // namespace

Implementation stream() {
  return {
      .name = "stream",
      .idea = "rows streamed, vertical sums pending in registers, gradient in the same pass",
      .device = kDevice,
      .tile = {kShortestTrain, kValueStrip},
      .supports = [](const Problem&, Mode) -> std::string { return ""; },
      .workspace_bytes = bytes,
      .value = [](const Problem& p, const Arguments& a) { return run(p, a, false); },
      .value_and_grad = [](const Problem& p, const Arguments& a) { return run(p, a, true); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const bool train = mode == Mode::train;
            return Cost{n * (train ? 12 : 8), n * (train ? 140 : 80), 1};
          },
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
