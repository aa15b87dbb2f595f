// SPDX-License-Identifier: MIT
// stream (CUDA): rows streamed through shared memory, vertical sums pending in registers, value and gradient in one
// pass over the images. FP32 throughout.
//
// Idea: sums over 11 rows are chains of pending sums: with each new row h of horizontally convolved values
// out = w10 h + a0, a_j = w(9-j) h + a(j+1), a9 = w0 h, so shifting is free and no row is read twice. The statistics
// are the four of the sum/difference basis; s and d are formed once, on the way into shared memory.
//   infer: a warp owns 128 columns, four a lane, and needs no block barrier.
//   train: a block owns 244 columns. Half of its warps make the fields p, q, r of two rows a step, two columns a lane;
//          the other half load rows two steps ahead and convolve the fields of the step before, five rows behind, and
//          write the gradient ten rows behind the input; s and d of those rows are still in shared memory.
// A pivot, about the plane's mean, is taken from s before it is squared.
// Rows of all strips of all planes form one long line, cut into equal pieces, one for each warp (infer) or block
// (train) that the card can hold: no waves, and only 10 (20) rows a piece are done twice.
// Cost: 8 (12) bytes of DRAM and 88 (154) FMA an element, one launch, the mean included.
// Run: ./suite test --filter 'cuda.*:stream' ; ./suite profile stream
#include <algorithm>
#include <limits>

#include "../implementation.hpp"
#include "../pixel.hpp"
#include "../window.hpp"
#include "block_mean.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

struct FastReciprocal {
  __device__ float operator()(float v) const { return reciprocal_fast(v); }
};

// The images and how their rows are numbered in one line: plane by plane, strip by strip, row by row.
struct Work {
  const float *x, *y;
  std::int64_t plane_size, lines, piece;  // lines: rows of all strips of all planes; piece: how many a worker takes
  int height, width, margin;              // positions closer than margin to the edge do not count
  int strip, strips, first, rows;         // rows of a plane that are worked on: first .. first + rows
};

// A worker's next run of rows in one strip.
struct Run {
  std::int64_t offset;        // of the plane
  int left, right, top, end;  // columns and rows of the result
};

__device__ Run next_run(const Work& work, std::int64_t line, std::int64_t stop) {
  const std::int64_t column = line / work.rows;  // strip of a plane
  const std::int64_t plane = column / work.strips;
  const int row = static_cast<int>(line - column * work.rows);
  const std::int64_t left_over = stop - line;
  const int rows = left_over < work.rows - row ? static_cast<int>(left_over) : work.rows - row;
  const int left = work.first + static_cast<int>(column - plane * work.strips) * work.strip;
  const int limit = work.width - work.first;
  const int right = work.strip < limit - left ? left + work.strip : limit;
  return {plane * work.plane_size, left, right, work.first + row, work.first + row + rows};
}

template <int kSize>
struct alignas(4 * kSize) Vector {
  float v[kSize];
};

// Values of the columns from (own first column) - roundup(5, kColumns) on; `from` is aligned to kColumns floats.
template <int kColumns>
struct Window {
  static constexpr int kBefore = (kHalo + kColumns - 1) / kColumns * kColumns;
  static constexpr int kVectors = 1 + 2 * kBefore / kColumns;
  float v[kVectors * kColumns];

  __device__ void load(const float* from) {
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      const auto part = reinterpret_cast<const Vector<kColumns>*>(from)[i];
#pragma unroll
      for (int k = 0; k < kColumns; ++k) v[i * kColumns + k] = part.v[k];
    }
  }
  __device__ void square() {
#pragma unroll
    for (int i = kBefore - kHalo; i < kBefore + kColumns + kHalo; ++i) v[i] *= v[i];
  }
};

// Convolves along the row for each column, pushes the result into the column's pending sums, gives the finished ones.
template <int kColumns>
__device__ void push(const Window<kColumns>& window, float (&pending)[kColumns][10], float (&out)[kColumns]) {
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const float* v = window.v + Window<kColumns>::kBefore - kHalo + c;
    float h = tap(0) * v[0];
#pragma unroll
    for (int k = 1; k < kWindow; ++k) h += tap(k) * v[k];
    float(&a)[10] = pending[c];
    out[c] = tap(10) * h + a[0];
#pragma unroll
    for (int j = 0; j < 9; ++j) a[j] = tap(9 - j) * h + a[j + 1];
    a[9] = tap(0) * h;
  }
}

template <int kFields, int kColumns>
__device__ void clear(float (&pending)[kFields][kColumns][10]) {
#pragma unroll
  for (int f = 0; f < kFields; ++f) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
#pragma unroll
      for (int j = 0; j < 10; ++j) pending[f][c][j] = 0;
    }
  }
}

// Rows on their way from memory to s - pivot and d in shared memory: a thread's columns are kStep apart, kCount of
// them, and one more if `more`. The image is zero outside.
template <int kCount, int kStep>
struct Loader {
  const float *from_x, *from_y;  // the thread's first column in the row that is loaded next
  int row, height, width;
  bool more, interior;  // interior: no thread of the block has a column outside
  unsigned inside;      // bit i for column i

  __device__ Loader(const Work& work, const Run& run, int first_row, int first_column, int thread, int columns)
      : row(first_row), height(work.height), width(work.width), more(thread + kCount * kStep < columns), inside(0) {
    const std::int64_t at = run.offset + static_cast<std::int64_t>(first_row) * width + first_column + thread;
    from_x = work.x + at;
    from_y = work.y + at;
    interior = first_column >= 0 && first_column + columns <= width;
#pragma unroll
    for (int i = 0; i <= kCount; ++i) {
      const int c = first_column + thread + i * kStep;
      inside |= static_cast<unsigned>(c >= 0 && c < width && (i < kCount || more)) << i;
    }
  }
};

template <int kCount, int kStep>
struct Row {
  float x[kCount + 1], y[kCount + 1];

  __device__ void load(Loader<kCount, kStep>& from) {
    const bool row_inside = from.row >= 0 && from.row < from.height;
    if (row_inside && from.interior) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        x[i] = load_readonly(from.from_x + i * kStep);
        y[i] = load_readonly(from.from_y + i * kStep);
      }
      if (from.more) {
        x[kCount] = load_readonly(from.from_x + kCount * kStep);
        y[kCount] = load_readonly(from.from_y + kCount * kStep);
      }
    } else {
      const unsigned inside = row_inside ? from.inside : 0;
#pragma unroll
      for (int i = 0; i <= kCount; ++i) {
        x[i] = inside >> i & 1 ? load_readonly(from.from_x + i * kStep) : 0.0f;
        y[i] = inside >> i & 1 ? load_readonly(from.from_y + i * kStep) : 0.0f;
      }
    }
    ++from.row;
    from.from_x += from.width;
    from.from_y += from.width;
  }
  __device__ void store(float* s, float* d, float pivot, bool more) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      s[i * kStep] = (x[i] - pivot) + y[i];
      d[i * kStep] = x[i] - y[i];
    }
    if (more) {
      s[kCount * kStep] = (x[kCount] - pivot) + y[kCount];
      d[kCount * kStep] = x[kCount] - y[kCount];
    }
  }
};

// About the mean of s in a plane, the same for every worker; four pixels' will do. On bright flat images it makes the
// gradient's error 100 times smaller. 0 where that is no number.
__device__ float find_pivot(const Work& work, const Run& run) {
  if (work.height < kWindow || work.width < kWindow) return 0;  // the zeros around weigh more than the image
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = work.height / 4 * (i / 2 * 2 + 1), column = work.width / 4 * (i % 2 * 2 + 1);
    const std::int64_t at = run.offset + static_cast<std::int64_t>(row) * work.width + column;
    sum += load_readonly(work.x + at) + load_readonly(work.y + at);
  }
  const float pivot = 0.25f * sum;
  return pivot > -1e30f && pivot < 1e30f ? pivot : 0.0f;
}

// ---- infer ----------------------------------------------------------------------------------------------------------

constexpr int kValueColumns = 4;
constexpr int kValueStrip = 32 * kValueColumns;
constexpr int kValueWarps = 4, kValueThreads = 32 * kValueWarps;
constexpr int kValueBlocks = 2;                 // resident on a multiprocessor
constexpr int kValueRow = kValueStrip + 2 * 8;  // with halo, from 8 columns to the left
constexpr int kValueCount = kValueRow / 32;     // columns that every lane loads

struct ValueShared {
  float row[kValueWarps][2][2][kValueRow];  // warp, even or odd row, s or d
  BlockMean mean;
};

__global__ void __launch_bounds__(kValueThreads, kValueBlocks)
    stream_value(Work work, float c1, float c2, double count, double* sums, unsigned* counter, double* mean) {
  auto& memory = shared<ValueShared>();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  auto& buffer = memory.row[warp];
  const std::int64_t worker = static_cast<std::int64_t>(blockIdx.x) * kValueWarps + warp;
  std::int64_t line = worker * work.piece;
  const std::int64_t stop = line + work.piece < work.lines ? line + work.piece : work.lines;
  double loss = 0;
  while (line < stop) {
    const Run run = next_run(work, line, stop);
    line += run.end - run.top;
    unsigned counts = 0;
#pragma unroll
    for (int c = 0; c < kValueColumns; ++c) {
      counts |= static_cast<unsigned>(run.left + lane * kValueColumns + c < run.right) << c;
    }

    const float pivot = find_pivot(work, run);
    Loader<kValueCount, 32> from(work, run, run.top - kHalo, run.left - 8, lane, kValueRow);
    Row<kValueCount, 32> row;
    const auto store = [&](int parity) {
      row.store(&buffer[parity][0][lane], &buffer[parity][1][lane], pivot, from.more);
    };
    float pending[4][kValueColumns][10];
    clear(pending);
    sync_warp();  // the run before has been read
    row.load(from);
    store(0);
    row.load(from);
    float part = 0;
    for (int r = run.top - kHalo, parity = 0; r < run.end + kHalo; ++r, parity ^= 1) {
      sync_warp();  // row r is there, row r - 1 has been read
      store(parity ^ 1);
      row.load(from);
      float ms[kValueColumns], md[kValueColumns], ess[kValueColumns], edd[kValueColumns];
      Window<kValueColumns> window;
      window.load(&buffer[parity][0][lane * kValueColumns]);
      push(window, pending[0], ms);
      window.square();
      push(window, pending[1], ess);
      window.load(&buffer[parity][1][lane * kValueColumns]);
      push(window, pending[2], md);
      window.square();
      push(window, pending[3], edd);
      if (r < run.top + kHalo) continue;
#pragma unroll
      for (int c = 0; c < kValueColumns; ++c) {
        const float here = sum_difference(ms[c], md[c], ess[c], edd[c], c1, c2, FastReciprocal{}, pivot).loss;
        if (counts >> c & 1) part += here;
      }
      if (r % 8 == 7) {  // fp64 is slow on many cards
        loss += static_cast<double>(part);
        part = 0;
      }
    }
    loss += static_cast<double>(part);
  }
  finish_mean<kValueThreads>(loss, memory.mean, sums, counter, count, mean);
}

// ---- train ----------------------------------------------------------------------------------------------------------

constexpr int kColumns = 2;
constexpr int kRoleThreads = 128, kTrainThreads = 2 * kRoleThreads;
constexpr int kTrainBlocks = 2;
constexpr int kFieldColumns = kRoleThreads * kColumns;      // 256
constexpr int kBefore = Window<kColumns>::kBefore;          // 6
constexpr int kTrainStrip = kFieldColumns - 2 * kBefore;    // 244
constexpr int kImageColumns = kFieldColumns + 2 * kBefore;  // 268
constexpr int kStep = 2;                                    // rows a step
constexpr int kRing = 16;                                   // >= 3 kStep + 10, a power of two
constexpr int kTrainCount = kImageColumns / kRoleThreads;   // columns that every thread loads

struct TrainShared {
  float image[kRing][2][kImageColumns];         // s and d of the last rows
  float field[2][kStep][3][kFieldColumns + 4];  // p, q, r of the rows of an even or odd step
  BlockMean mean;
};

struct Train {
  Work work;
  float c1, c2, inverse_count;
  const float* weight;
  float* grad_x;
  bool whole_vectors;  // every row of the gradient begins at a multiple of a vector and is made of such
};

// Steps of a run of so many rows, the two that the roles lag included: rows of the image from 10 above to 10 below.
__device__ int steps(const Run& run) { return (run.end - run.top + 4 * kHalo + kStep - 1) / kStep + 1; }

// Step i: statistics and fields of image rows top - 10 + i kStep + k, k = 0 .. kStep - 1. Gives the thread's loss.
__device__ double make_fields(const Train& train, TrainShared& memory, int thread, std::int64_t line,
                              std::int64_t stop) {
  const Work& work = train.work;
  double loss = 0;
  while (line < stop) {
    const Run run = next_run(work, line, stop);
    line += run.end - run.top;
    const int column = run.left - kBefore + thread * kColumns;  // of the first field
    bool counts[kColumns], own[kColumns];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      counts[c] = column + c >= work.margin && column + c < work.width - work.margin;
      own[c] = counts[c] && column + c >= run.left && column + c < run.right;
    }
    const float pivot = find_pivot(work, run);
    float pending[4][kColumns][10];
    clear(pending);
    sync_block();  // the rows of step 0 are there
    const int last = steps(run);
    for (int i = 0; i < last; ++i) {
      float part = 0;
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
        const int index = i * kStep + k;                      // of the image row
        const int row = run.top - 2 * kHalo + index - kHalo;  // of the fields
        const auto& image = memory.image[index % kRing];
        float ms[kColumns], md[kColumns], ess[kColumns], edd[kColumns];
        Window<kColumns> window;
        window.load(&image[0][thread * kColumns]);
        push(window, pending[0], ms);
        window.square();
        push(window, pending[1], ess);
        window.load(&image[1][thread * kColumns]);
        push(window, pending[2], md);
        window.square();
        push(window, pending[3], edd);
        if (index < 2 * kHalo) continue;
        const bool row_counts = row >= work.margin && row < work.height - work.margin;
        const bool row_own = row_counts && row >= run.top && row < run.end;
        Vector<kColumns> p, q, r;
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const auto at = sum_difference(ms[c], md[c], ess[c], edd[c], train.c1, train.c2, FastReciprocal{}, pivot);
          const bool here = row_counts && counts[c];
          p.v[c] = here ? at.p : 0.0f;
          q.v[c] = here ? at.q : 0.0f;
          r.v[c] = here ? at.r : 0.0f;
          if (row_own && own[c]) part += at.loss;
        }
        auto& field = memory.field[i % 2][k];
        *reinterpret_cast<Vector<kColumns>*>(&field[0][thread * kColumns]) = p;
        *reinterpret_cast<Vector<kColumns>*>(&field[1][thread * kColumns]) = q;
        *reinterpret_cast<Vector<kColumns>*>(&field[2][thread * kColumns]) = r;
      }
      loss += static_cast<double>(part);
      sync_block();
    }
  }
  return loss;
}

// Step i: stores the image rows of step i + 1, starts loading those of step i + 2, and turns the fields of step i - 1
// into gradient rows.
__device__ void make_gradient(const Train& train, TrainShared& memory, int thread, std::int64_t line,
                              std::int64_t stop) {
  const Work& work = train.work;
  const float scale = (train.weight ? *train.weight : 1.0f) * train.inverse_count;
  while (line < stop) {
    const Run run = next_run(work, line, stop);
    line += run.end - run.top;
    const float pivot = find_pivot(work, run);
    Loader<kTrainCount, kRoleThreads> from(work, run, run.top - 2 * kHalo, run.left - 2 * kBefore, thread,
                                           kImageColumns);
    Row<kTrainCount, kRoleThreads> row[kStep];
    const auto load = [&] {
#pragma unroll
      for (int k = 0; k < kStep; ++k) row[k].load(from);
    };
    const auto store = [&](int step) {
#pragma unroll
      for (int k = 0; k < kStep; ++k) {
        auto& image = memory.image[(step * kStep + k) % kRing];
        row[k].store(&image[0][thread], &image[1][thread], pivot, from.more);
      }
    };
    const int column = run.left + thread * kColumns;  // of the gradient
    float* to = train.grad_x + run.offset + static_cast<std::int64_t>(run.top) * work.width + column;
    float pending[3][kColumns][10];
    clear(pending);
    load();
    store(0);
    load();
    sync_block();
    const int last = steps(run);
    for (int i = 0; i < last; ++i) {
      store(i + 1);
      load();
      // Fields exist from image row 10 on.
      if (column < run.right && i * kStep >= 2 * kHalo + kStep) {
#pragma unroll
        for (int k = 0; k < kStep; ++k) {
          const auto& field = memory.field[(i + 1) % 2][k];
          float out[3][kColumns];
          Window<kColumns> window;
#pragma unroll
          for (int f = 0; f < 3; ++f) {
            window.load(&field[f][thread * kColumns]);
            push(window, pending[f], out[f]);
          }
          const int index = (i - 1) * kStep + k - 2 * kHalo;  // of the gradient's row among the image rows
          const int behind = index - 2 * kHalo;               // and among the gradient rows
          if (behind < 0 || behind >= run.end - run.top) continue;
          const auto& image = memory.image[index % kRing];
          const auto s = *reinterpret_cast<const Vector<kColumns>*>(&image[0][2 * kBefore + thread * kColumns]);
          const auto d = *reinterpret_cast<const Vector<kColumns>*>(&image[1][2 * kBefore + thread * kColumns]);
          Vector<kColumns> gradient;
#pragma unroll
          for (int c = 0; c < kColumns; ++c) {
            gradient.v[c] = scale * (out[0][c] + 2.0f * (d.v[c] * out[1][c] + s.v[c] * out[2][c]));
          }
          if (train.whole_vectors) {
            *reinterpret_cast<Vector<kColumns>*>(to) = gradient;
          } else {
#pragma unroll
            for (int c = 0; c < kColumns; ++c) {
              if (column + c < run.right) to[c] = gradient.v[c];
            }
          }
          to += work.width;
        }
      }
      sync_block();
    }
  }
}

__global__ void __launch_bounds__(kTrainThreads, kTrainBlocks)
    stream_train(Train train, double count, double* sums, unsigned* counter, double* mean) {
  auto& memory = shared<TrainShared>();
  const std::int64_t line = blockIdx.x * train.work.piece;
  const std::int64_t stop = line + train.work.piece < train.work.lines ? line + train.work.piece : train.work.lines;
  double loss = 0;
  if (threadIdx.x < kRoleThreads) {
    loss = make_fields(train, memory, threadIdx.x, line, stop);
  } else {
    make_gradient(train, memory, threadIdx.x - kRoleThreads, line, stop);
  }
  finish_mean<kTrainThreads>(loss, memory.mean, sums, counter, count, mean);
}

// ---- host -----------------------------------------------------------------------------------------------------------

// Fewer rows than this a piece are not worth the rows that are done twice.
constexpr int kShortestValue = 8, kShortestTrain = 16;

struct Plan {
  Work work;
  std::int64_t blocks;
};

Plan plan(const Problem& p, bool train) {
  const int margin = p.padding == Padding::valid ? kHalo : 0;
  const std::int64_t first = train ? 0 : margin;  // the gradient reaches every pixel
  const std::int64_t rows = p.height - 2 * first, columns = p.width - 2 * first;
  const std::int64_t widest = train ? kTrainStrip : kValueStrip;
  const std::int64_t strips = (columns + widest - 1) / widest;
  // Equal strips, of whole vectors.
  std::int64_t strip = train ? ((columns + strips - 1) / strips + 1) / 2 * 2 : widest;
  if (strip * (strips - 1) >= columns) strip = widest;  // rounding up has left nothing for the last
  Work work{};
  work.plane_size = p.plane_size();
  work.height = static_cast<int>(p.height);
  work.width = static_cast<int>(p.width);
  work.margin = margin;
  work.strip = static_cast<int>(strip);
  work.strips = static_cast<int>(strips);
  work.first = static_cast<int>(first);
  work.rows = static_cast<int>(rows);
  work.lines = p.planes() * strips * rows;
  const std::int64_t workers =
      static_cast<std::int64_t>(multiprocessors()) * (train ? kTrainBlocks : kValueBlocks * kValueWarps);
  const std::int64_t shortest = train ? kShortestTrain : kShortestValue;
  work.piece = std::max((work.lines + workers - 1) / workers, shortest);
  const std::int64_t pieces = (work.lines + work.piece - 1) / work.piece;
  return {work, train ? pieces : (pieces + kValueWarps - 1) / kValueWarps};
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
  if (!train) {
    return launch("stream_value", stream_value, grid, dim3(kValueThreads), sizeof(ValueShared), a.stream, made.work,
                  p.c1, p.c2, count, sums, counter, a.mean);
  }
  const bool whole_vectors =
      p.width % kColumns == 0 && reinterpret_cast<std::uintptr_t>(a.grad_x) % sizeof(Vector<kColumns>) == 0;
  const Train all{made.work, p.c1, p.c2, static_cast<float>(1.0 / count), a.weight, a.grad_x, whole_vectors};
  return launch("stream_train", stream_train, grid, dim3(kTrainThreads), sizeof(TrainShared), a.stream, all, count,
                sums, counter, a.mean);
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
            return Cost{n * (train ? 12 : 8), n * (train ? 154 : 88), 1};
          },
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
