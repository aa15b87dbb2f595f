// SPDX-License-Identifier: MIT
// stream (CPU), the arithmetic of one task: a band of 16 rows is swept from left to right in steps of 16 columns.
// Compiled once per instruction set, with SSIM_ISA = portable, avx2 or avx512.
//
// Idea: a convolution along the lanes of a register wants unaligned loads or shuffles for every tap. So each step
//   1. reads 26 image rows of 16 columns once and stores s, d, s^2, d^2 to L1, s and d less a constant;
//   2. convolves them vertically (lanes are columns), 16 rows of each statistic;
//   3. transposes the 16 x 16 blocks into a window of columns in which lanes are rows;
//   4. convolves along the columns of the window, for 16 positions that lie 8 columns behind what was read: the same
//      code, since neighbouring columns are neighbouring lines now and every load is aligned;
//   5. turns the statistics into 1 - SSIM and, for the gradient, three fields; lanes being rows, rows that do not count
//      are masked for free;
//   6. (gradient) convolves the fields along the columns while they are still transposed, transposes them back, keeps
//      the last ten rows of each block of columns in a ring for the next band, convolves vertically, and writes the
//      gradient of 16 rows that end 5 rows above the band, 16 columns behind what was read.
//
// The constants change no variance and make E[s^2] - E[s]^2 a difference of small numbers. They follow the image, a
// pair a step; columns that are kept are put on the new pair. On bright flat, smooth and piecewise flat images the
// errors fall by one to three orders of magnitude, for 2 % of the time. Pixels outside of the image are zeros, less the
// constants.
//
// Cost: 88 (154) multiply-adds an element, 4 (10) shuffles a vector; images are read 26/16 times from cache and once
// from memory. What was tried is in reports/lab-notes.md.
//
// Run: ./suite test --filter 'cpu:stream'
#include "stream_task.hpp"
#include "stream_vector.hpp"

namespace ssim::cpu::SSIM_ISA {
namespace {

constexpr int kReach = 5;                // of the window
constexpr int kTall = kBlock + 10;       // lines that 16 window sums need
constexpr int kBehind = 8;               // columns by which positions lie behind what was read
constexpr int kKept = kReach + kBehind;  // columns of a window that the next step still needs
constexpr int kWindowColumns = kKept + kBlock;

// Columns ahead of a row's reading and writing that are asked of memory: a band is 52 streams, more than the hardware
// follows.
constexpr int kPrefetchRead = 3 * kBlock;
constexpr int kPrefetchWrite = 2 * kBlock;

/// Whether rows lie so that the lines of one column fall into few sets of the first-level cache (64 sets of 64 bytes):
/// what is asked of it ahead then drives out what was asked for before, so it is asked of the second level alone.
SSIM_INLINE bool rows_collide(std::int64_t width) {
  constexpr std::int64_t kPitch = 2048, kApart = 48;  // bytes; 26 rows that far apart reach 20 sets
  const std::int64_t over = width * static_cast<std::int64_t>(sizeof(float)) % kPitch;
  return over < kApart || over > kPitch - kApart;
}

/// L1 scratch. Step k reads columns [16 k, 16 k + 16).
struct alignas(64) Scratch {
  float staged[4][kTall][kBlock];               // s, d, s^2, d^2: rows of the band and 5 above and below
  float block[kBlock][kBlock];                  // before a transposition
  float statistics[kWindowColumns][4][kBlock];  // column i is 16 k - 13 + i; lanes are rows of the band
  float smooth[kBlock][4][kBlock];              // the same, convolved: position i is 16 k - 8 + i
  float fields[kWindowColumns][3][kBlock];      // column i is 16 k - 21 + i
  float smooth_fields[3][kBlock][kBlock];       // convolved: column i is 16 k - 16 + i
  float field_rows[3][kTall][kBlock];           // as rows again: ten rows of the band above, then this band's
  float gradient_fields[3][kBlock][kBlock];     // convolved vertically: row i is 5 rows above the band's row i
};

SSIM_INLINE void zero(float* line) {
  for (int lane = 0; lane < kBlock; lane += kLanes) store(line + lane, Vector{});
}

SSIM_INLINE void fill(float* line, float value) {
  for (int lane = 0; lane < kBlock; lane += kLanes) store(line + lane, splat(value));
}

SSIM_INLINE void copy(const float* from, float* to, int lines) {
  for (int i = 0; i < lines * kBlock; i += kLanes) store(to + i, load(from + i));
}

SSIM_INLINE std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
SSIM_INLINE std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

/// Lanes whose row lies in [begin, end), for the row of lane 0 of a line.
struct RowMask {
  alignas(64) std::int32_t lanes[kBlock];
  SSIM_INLINE void set(std::int64_t first, std::int64_t begin, std::int64_t end) {
    for (int i = 0; i < kBlock; ++i) lanes[i] = first + i >= begin && first + i < end ? -1 : 0;
  }
  SSIM_INLINE Mask at(int lane) const { return *reinterpret_cast<const Mask*>(lanes + lane); }
};

/// What is subtracted from s and d.
struct Pivot {
  float s, d;
};

/// Whether it is more than four times the range that the constants are made for.
SSIM_INLINE bool beyond(const Sweep& sweep, float v) { return v * v > 160000 * sweep.c1; }

template <bool kTrain>
struct Band {
  const Sweep& sweep;
  const Task& task;
  Scratch& scratch;
  float* ring;  // [step][field][10 rows][16 columns]
  const float* x;
  const float* y;
  float* grad;
  const Pivot base;  // of p and the gradient: one for the task, because fields of many blocks meet there
  const bool shifted, collide;
  Pivot pivot = base;
  std::int64_t row = 0;                                 // of the image, that of lane 0
  bool has_fields = true;                               // false below the last counted row
  bool first = true;                                    // nothing in the ring yet
  std::int64_t field_columns_begin, field_columns_end;  // positions that are computed
  std::int64_t loss_columns_begin, loss_columns_end;    // positions that this task counts
  RowMask field_rows, loss_rows;
  alignas(64) double loss[kBlock] = {};

  /// Step 1. Outside of the image there are zeros.
  SSIM_INLINE void stage(std::int64_t column) {
    const int count = static_cast<int>(least(sweep.width - column - (SSIM_DEFECT(tail_columns) ? 1 : 0), kBlock));
    for (int i = 0; i < kTall; ++i) {
      const std::int64_t r = row - kReach + i;
      if (r < 0 || r >= sweep.height) {
        fill(scratch.staged[0][i], -pivot.s);
        fill(scratch.staged[1][i], -pivot.d);
        fill(scratch.staged[2][i], pivot.s * pivot.s);
        fill(scratch.staged[3][i], pivot.d * pivot.d);
        continue;
      }
      const float* from_x = x + r * sweep.width + column;
      const float* from_y = y + r * sweep.width + column;
      if (collide) {
        __builtin_prefetch(from_x + kPrefetchRead, 0, 2);
        __builtin_prefetch(from_y + kPrefetchRead, 0, 2);
      } else {
        __builtin_prefetch(from_x + kPrefetchRead);
        __builtin_prefetch(from_y + kPrefetchRead);
      }
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        Vector vx, vy;
        if (count == kBlock) [[likely]] {
          vx = load_unaligned(from_x + lane);
          vy = load_unaligned(from_y + lane);
        } else {
          vx = load_partial(from_x + lane, count - lane);
          vy = load_partial(from_y + lane, count - lane);
        }
        const Vector s = vx + vy - pivot.s, d = vx - vy - pivot.d;
        store(scratch.staged[0][i] + lane, s);
        store(scratch.staged[1][i] + lane, d);
        store(scratch.staged[2][i] + lane, s * s);
        store(scratch.staged[3][i] + lane, d * d);
      }
    }
  }

  /// What steps 1 to 3 would find outside of the image.
  SSIM_INLINE void read_nothing(int from, int count) {
    for (int c = from; c < from + count; ++c) {
      fill(scratch.statistics[c][0], -pivot.s);
      fill(scratch.statistics[c][1], -pivot.d);
      fill(scratch.statistics[c][2], pivot.s * pivot.s);
      fill(scratch.statistics[c][3], pivot.d * pivot.d);
    }
  }

  /// Puts into `next` what is nearest to zero of all that this step and the columns that are kept are made of.
  [[gnu::noinline, gnu::cold]] void look_at_all(std::int64_t column, Pivot& next) const {
    const std::int64_t end_row = least(row + kBlock + kReach, sweep.height);
    const std::int64_t end_column = least(column + kBlock, sweep.width);
    for (std::int64_t r = most(row - kReach, 0); r < end_row; ++r) {
      for (std::int64_t c = most(column - kKept, 0); c < end_column; ++c) {
        const float s = x[r * sweep.width + c] + y[r * sweep.width + c];
        const float d = x[r * sweep.width + c] - y[r * sweep.width + c];
        if (__builtin_fabsf(s) < __builtin_fabsf(next.s)) next.s = s;
        if (__builtin_fabsf(d) < __builtin_fabsf(next.d)) next.d = d;
      }
    }
  }

  /// Takes a new constant for the columns to come and puts those that are kept on it: E[(t - e)^2] = E[t^2] - 2 e E[t]
  /// + e^2. Of six pixels amid the positions that are evaluated next, the one nearest to zero. Should that be far
  /// beyond the range of the data, ordinary pixels beside it would lose all their digits, so all are looked at.
  SSIM_INLINE void follow(std::int64_t column) {
    const float none = __builtin_inff();
    Pivot next{none, none};
    // The second column is for when what the first one meets, clamped to the image's corner, is its one bright pixel.
    const std::int64_t c = least(column, sweep.width - 1);
    const std::int64_t columns[2] = {c, c >= kReach ? c - kReach : least(c + kReach, sweep.width - 1)};
    for (int i = 2; i < kBlock; i += 6) {
      for (const std::int64_t from : columns) {
        const std::int64_t at = least(row + i, sweep.height - 1) * sweep.width + from;
        const float s = x[at] + y[at], d = x[at] - y[at];
        if (__builtin_fabsf(s) < __builtin_fabsf(next.s)) next.s = s;
        if (__builtin_fabsf(d) < __builtin_fabsf(next.d)) next.d = d;
      }
    }
    if (!(next.s < none && next.d < none)) return;
    if (beyond(sweep, next.s) || beyond(sweep, next.d)) look_at_all(column, next);
    const Pivot by{next.s - pivot.s, next.d - pivot.d};
    pivot = next;
    if ((by.s == 0 && by.d == 0) || SSIM_DEFECT(pivot_not_moved)) return;
    for (int i = 0; i < kKept; ++i) {
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        float* at = scratch.statistics[i][0] + lane;
        const Vector ms = load(at), md = load(at + kBlock);
        store(at, ms - by.s);
        store(at + kBlock, md - by.d);
        store(at + 2 * kBlock, load(at + 2 * kBlock) - by.s * (ms + (ms - by.s)));
        store(at + 3 * kBlock, load(at + 3 * kBlock) - by.d * (md + (md - by.d)));
      }
    }
  }

  /// Steps 1 to 3.
  SSIM_INLINE void read(std::int64_t column) {
    if (column >= sweep.width) {
      read_nothing(kKept, kBlock);
      return;
    }
    stage(column);
    for (int n = 0; n < 4; ++n) {
      for (int r = 0; r < kBlock; r += 4) convolve4(scratch.staged[n][r], kBlock, scratch.block[r], kBlock);
      transpose(scratch.block[0], kBlock, scratch.statistics[kKept][n], 4 * kBlock);
    }
  }

  /// Steps 4 and 5 for positions [column, column + 16).
  SSIM_INLINE void evaluate(std::int64_t column) {
    const int begin = static_cast<int>(most(field_columns_begin - column, 0));
    const int end = static_cast<int>(least(field_columns_end - column, kBlock));
    for (int c = begin & ~3; c < end; c += 4) {
      for (int n = 0; n < 4; ++n) convolve4(scratch.statistics[c][n], 4 * kBlock, scratch.smooth[c][n], 4 * kBlock);
    }
    if constexpr (kTrain) {
      for (int c = 0; c < kBlock; ++c) {
        if (c < begin || c >= end) {
          for (int n = 0; n < 3; ++n) zero(scratch.fields[kKept + c][n]);
        }
      }
    }
    for (int lane = 0; lane < kBlock; lane += kLanes) {
      const Mask rows = field_rows.at(lane), counted_rows = loss_rows.at(lane);
      Vector sum{};
      for (int c = begin; c < end; ++c) {
        const float* at = scratch.smooth[c][0] + lane;
        const bool counts = column + c >= loss_columns_begin && column + c < loss_columns_end;
        const Vector value = position(load(at), load(at + kBlock), load(at + 2 * kBlock), load(at + 3 * kBlock), rows,
                                      scratch.fields[kKept + c][0] + lane);
        sum += keep(value, counts ? counted_rows : Mask{});
      }
      for (int i = 0; i < kLanes; ++i) loss[lane + i] += static_cast<double>(sum[i]);
    }
  }

  /// kernels/pixel.hpp, sum/difference basis, with one division. The statistics are those of s - c and d - c, which
  /// have the variances of s and d; in p and in the gradient's factors of q and r the shifts cancel. fields: for p, q,
  /// r.
  SSIM_INLINE Vector position(Vector shifted_ms, Vector shifted_md, Vector ess, Vector edd, Mask rows, float* fields) {
    const Vector ms = shifted_ms + pivot.s, md = shifted_md + pivot.d, mdd = md * md;
    const Vector vs = ess - shifted_ms * shifted_ms, vd = edd - shifted_md * shifted_md;
    const Vector a = 0.5f * (ms * ms + mdd) + (SSIM_DEFECT(wrong_c1) ? sweep.c2 : sweep.c1);
    const Vector b = 0.5f * (vs + vd) + sweep.c2;
    const Vector small_a = a * sweep.shrink, product = small_a * b;
    const Vector inverse = 1.0f / product;
    const Vector inverse_a = b * sweep.shrink * inverse, inverse_b = small_a * inverse;
    const Vector nothing = 0.0f * product;  // NaN where that is too large for fp32 and its reciprocal zero
    const Vector u = mdd * inverse_a, v = vd * inverse_b;
    if constexpr (kTrain) {
      const Vector l = 1.0f - u, s = 1.0f - v;
      const Vector half_v_over_b = 0.5f * v * inverse_b;
      const Vector q = l * (half_v_over_b - inverse_b);
      const Vector r = l * half_v_over_b;
      const Vector sa = s * inverse_a;
      const Vector p = sa * (md * (u - 2.0f) + u * ms) - 2.0f * ((md - base.d) * q + (ms - base.s) * r) + nothing;
      store(fields, keep(p, rows));
      store(fields + kBlock, keep(q, rows));
      store(fields + 2 * kBlock, SSIM_DEFECT(term_dropped) ? Vector{} : keep(r, rows));
    }
    return u + v - u * v + nothing;
  }

  SSIM_INLINE Vector gradient(Vector vx, Vector vy, Vector p, Vector q, Vector r) {
    const Vector s = vx + vy - base.s, d = vx - vy - base.d;
    return sweep.scale * (p + 2.0f * (d * q + s * r));
  }

  /// Step 6 for gradient columns [column, column + 16) and rows [row - 5, row + 11).
  SSIM_INLINE void write(std::int64_t column) {
    float* kept = ring + (column - task.column_begin) * (3 * 10);
    for (int n = 0; n < 3; ++n) {
      if (first || SSIM_DEFECT(segment_seam)) {
        for (int r = 0; r < 10; ++r) zero(scratch.field_rows[n][r]);
      } else {
        copy(kept + n * 10 * kBlock, scratch.field_rows[n][0], 10);
      }
      if (has_fields) {
        for (int c = 0; c < kBlock; c += 4) {
          convolve4(scratch.fields[c][n], 3 * kBlock, scratch.smooth_fields[n][c], kBlock);
        }
        transpose(scratch.smooth_fields[n][0], kBlock, scratch.field_rows[n][10], kBlock);
      } else {
        for (int r = 10; r < kTall; ++r) zero(scratch.field_rows[n][r]);
      }
      for (int r = 0; r < kBlock; r += 4) {
        convolve4(scratch.field_rows[n][r], kBlock, scratch.gradient_fields[n][r], kBlock);
      }
      copy(scratch.field_rows[n][kBlock], kept + n * 10 * kBlock, 10);
    }
    const int begin = static_cast<int>(most(task.row_begin - (row - kReach), 0));
    const int end =
        static_cast<int>(least(task.row_end - (row - kReach) - (SSIM_DEFECT(gradient_row_skipped) ? 1 : 0), kBlock));
    const int count = static_cast<int>(least(task.column_end - column, kBlock));
    for (int i = begin; i < end; ++i) {
      const std::int64_t at = (row - kReach + i) * sweep.width + column;
      __builtin_prefetch(grad + at + kPrefetchWrite, 1);
      for (int lane = 0; lane < kBlock; lane += kLanes) {
        const Vector p = load(scratch.gradient_fields[0][i] + lane), q = load(scratch.gradient_fields[1][i] + lane);
        const Vector r = load(scratch.gradient_fields[2][i] + lane);
        if (count == kBlock) [[likely]] {
          const Vector vx = load_unaligned(x + at + lane), vy = load_unaligned(y + at + lane);
          store_unaligned(grad + at + lane, gradient(vx, vy, p, q, r));
        } else {
          const Vector vx = load_partial(x + at + lane, count - lane), vy = load_partial(y + at + lane, count - lane);
          store_partial(grad + at + lane, gradient(vx, vy, p, q, r), count - lane);
        }
      }
    }
  }

  /// One band from left to right.
  SSIM_INLINE void run() {
    const std::int64_t first_step = task.column_begin / kBlock;
    const std::int64_t last_step = kTrain ? (task.column_end - 1) / kBlock + 1 : (field_columns_end + 7) / kBlock;
    for (std::int64_t step = first_step - (task.column_begin > 0); step <= last_step; ++step) {
      const std::int64_t column = step * kBlock;
      if (has_fields) {
        if (shifted) follow(column);
        if (step == 0) read_nothing(0, kKept);  // behind it: to be put on another constant would cost digits
        read(column);
        if (step >= first_step) evaluate(column - kBehind);
      }
      if constexpr (kTrain) {
        if (step > first_step) write(column - kBlock);
        copy(scratch.fields[kBlock][0], scratch.fields[0][0], kKept * 3);
      }
      copy(scratch.statistics[kBlock][0], scratch.statistics[0][0], kKept * 4);
    }
  }
};

/// An image in which every window is mostly zeros.
bool small(const Sweep& sweep) {
  return sweep.margin == 0 && (sweep.width < kTall - kBlock || sweep.height < kTall - kBlock);
}

/// s and d at the nine pixels of a 3 x 3 grid over the task, of each the one nearest to zero: subtracting it makes
/// nothing larger where the image is all brighter, and little harm where it is not. NaN and Inf are passed over, and so
/// is what lies far beyond the range of the data: some of the task may not.
Pivot typical(const Sweep& sweep, const Task& task, std::int64_t plane) {
  if (small(sweep)) return {0, 0};
  const float none = __builtin_inff();  // beyond any range
  Pivot best{none, none};
  for (int i = 1; i < 6; i += 2) {
    for (int j = 1; j < 6; j += 2) {
      const std::int64_t r = task.row_begin + (task.row_end - task.row_begin) * i / 6;
      const std::int64_t c = task.column_begin + (task.column_end - task.column_begin) * j / 6;
      const std::int64_t at = plane + r * sweep.width + c;
      const float s = sweep.x[at] + sweep.y[at], d = sweep.x[at] - sweep.y[at];
      if (__builtin_fabsf(s) < __builtin_fabsf(best.s)) best.s = s;
      if (__builtin_fabsf(d) < __builtin_fabsf(best.d)) best.d = d;
    }
  }
  return {beyond(sweep, best.s) ? 0 : best.s, beyond(sweep, best.d) ? 0 : best.d};
}

template <bool kTrain>
double run(const Sweep& sweep, const Task& task, float* ring) {
  Scratch scratch = {};
  const std::int64_t plane = (SSIM_DEFECT(batch_ignored) ? 0 : task.plane) * sweep.width * sweep.height;
  const std::int64_t last_row = sweep.height - sweep.margin, last_column = sweep.width - sweep.margin;
  const std::int64_t reach = kTrain ? kReach : 0;
  Band<kTrain> band{.sweep = sweep,
                    .task = task,
                    .scratch = scratch,
                    .ring = ring,
                    .x = sweep.x + plane,
                    .y = sweep.y + plane,
                    .grad = kTrain ? sweep.grad + plane : nullptr,
                    .base = typical(sweep, task, plane),
                    .shifted = !small(sweep),
                    .collide = rows_collide(sweep.width),
                    .field_columns_begin = most(task.column_begin - reach, sweep.margin),
                    .field_columns_end = least(task.column_end + reach, last_column),
                    .loss_columns_begin = most(task.column_begin, sweep.margin),
                    .loss_columns_end = least(task.column_end, last_column),
                    .field_rows = {},
                    .loss_rows = {}};
  const std::int64_t first_row = most(task.row_begin - reach, sweep.margin);
  const std::int64_t end_row = least(task.row_end + reach, last_row);
  // The gradient of a row needs fields to 5 rows below it.
  for (band.row = first_row; kTrain ? band.row - kReach < task.row_end : band.row < end_row; band.row += kBlock) {
    band.has_fields = band.row < end_row;
    band.field_rows.set(band.row, sweep.margin, last_row);
    band.loss_rows.set(band.row, most(task.row_begin, sweep.margin),
                       least(task.row_end + (SSIM_DEFECT(row_counted_twice) ? 1 : 0), last_row));
    band.run();
    band.first = false;
  }
  double sum = 0;
  for (int i = 0; i < kBlock; ++i) sum += band.loss[i];
  return sum;
}

}  // namespace

double run_task(const Sweep& sweep, const Task& task, float* ring) {
  return sweep.grad ? run<true>(sweep, task, ring) : run<false>(sweep, task, ring);
}

}  // namespace ssim::cpu::SSIM_ISA
