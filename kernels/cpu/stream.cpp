// SPDX-License-Identifier: MIT
// stream (CPU): one fused sweep over the images, SIMD chosen at run time, threads. Production where there is no GPU.
//
// Idea: all four statistics of the sum/difference basis, 1 - SSIM, and the gradient come out of one walk over bands of
// 16 rows (stream_kernel.cpp says how). The image is cut into tasks by its shape alone, and every task leaves one
// double, added up in a fixed order: the result is bitwise the same for any number of threads.
// Cost: 88 (154) multiply-adds an element plus what neighbouring tasks compute twice: nothing for the value, 10 rows a
// segment and 16 columns a strip for the gradient. 8 (12) bytes of memory traffic an element.
// SSIM_CPU_ISA=portable|avx2|avx512 forces an instruction set; a call fails if it is unknown or not there.
// Run: ./suite test --filter 'cpu:stream'; ./suite report --device cpu --filter 'cpu:stream'
#include "stream.hpp"

#include <pthread.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "implementation.hpp"
#include "stream_task.hpp"

namespace ssim::cpu {
namespace {

// --- instruction sets ------------------------------------------------------------------------------------------------

struct InstructionSet {
  const char* name;
  bool (*available)();
  TaskFunction run_task;
};

// Best first.
constexpr InstructionSet kInstructionSets[] = {
#if SSIM_CPU_X86
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
     },
     avx512::run_task},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2::run_task},
#endif
    {"portable", [] { return true; }, portable::run_task},
};

/// The one that is forced, else the best one; nullptr with a status if the forced one cannot be had.
const InstructionSet* instruction_set(Status* status) {
  const char* forced = std::getenv("SSIM_CPU_ISA");
  if (forced && !*forced) forced = nullptr;
  for (const InstructionSet& set : kInstructionSets) {
    if (forced && std::strcmp(forced, set.name) != 0) continue;
    if (set.available()) return &set;
    if (forced) {
      *status = Status::error(Status::Code::unsupported,
                              "SSIM_CPU_ISA = %s: this CPU does not have it (portable always works)", forced);
      return nullptr;
    }
  }
  *status = Status::error(Status::Code::invalid_argument,
                          "SSIM_CPU_ISA = %s must be portable, avx2 or avx512 (the last two on x86-64 alone)", forced);
  return nullptr;
}

// --- partition: from the shape alone ---------------------------------------------------------------------------------

constexpr std::int64_t kStripInfer = 2048;  // columns; a strip costs one step of 16
constexpr std::int64_t kStripTrain = 1024;  // its ring of 120 KiB stays in the second-level cache
constexpr std::int64_t kSegmentInfer = 2 * kBlock;
constexpr std::int64_t kSegmentTrain = 128;  // 10 rows of it are computed twice
// Segments grow until there are no more than about so many tasks.
constexpr std::int64_t kTasksInfer = 64;
constexpr std::int64_t kTasksTrain = 24;

struct Partition {
  std::int64_t planes, strips, strip_columns, segments, first_row, rows, segment_rows, columns;

  std::int64_t tasks() const { return planes * strips * segments; }
  Task task(std::int64_t index) const {
    const std::int64_t segment = index % segments, strip = index / segments % strips;
    return {.plane = index / (segments * strips),
            .row_begin = first_row + segment * segment_rows,
            .row_end = first_row + std::min((segment + 1) * segment_rows, rows),
            .column_begin = strip * strip_columns,
            .column_end = std::min((strip + 1) * strip_columns, columns)};
  }
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return a / b + (a % b != 0); }
std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

Partition partition(const Problem& p, Mode mode) {
  const bool train = mode == Mode::train;
  Partition out;
  out.planes = p.planes();
  out.columns = p.width;
  out.strips = divide_up(p.width, train ? kStripTrain : kStripInfer);
  out.strip_columns = round_up(divide_up(p.width, out.strips), kBlock);
  out.strips = divide_up(p.width, out.strip_columns);
  // The value needs rows that count alone; the gradient reaches all.
  out.first_row = !train && p.padding == Padding::valid ? kHalo : 0;
  out.rows = train ? p.height : p.counted_height();
  const std::int64_t tasks = train ? kTasksTrain : kTasksInfer;
  const std::int64_t wanted = divide_up(tasks, std::min(tasks, out.planes * out.strips));
  out.segment_rows = std::max(round_up(divide_up(out.rows, wanted), kBlock), train ? kSegmentTrain : kSegmentInfer);
  out.segments = divide_up(out.rows, out.segment_rows);
  return out;
}

// --- workspace: control block, one double a task, one ring a thread --------------------------------------------------

/// Threads that the workspace has room for: at least 16, so that a caller may ask for more than there are cores.
std::int64_t most_threads(const Partition& cut) {
  static const std::int64_t cores = std::max<std::int64_t>(16, std::thread::hardware_concurrency());
  return std::min(cut.tasks(), cores);
}

std::int64_t sums_bytes(const Partition& cut) {
  return round_up(cut.tasks() * static_cast<std::int64_t>(sizeof(double)), 64);
}

std::int64_t ring_bytes(const Partition& cut, Mode mode) {
  return mode == Mode::train ? ring_floats(cut.strip_columns) * static_cast<std::int64_t>(sizeof(float)) : 0;
}

std::int64_t workspace_size(const Problem& p, Mode mode) {
  const Partition cut = partition(p, mode);
  return kControlBytes + sums_bytes(cut) + most_threads(cut) * ring_bytes(cut, mode);
}

// --- threads ---------------------------------------------------------------------------------------------------------

// libgomp's threads do not survive a fork, and a child that asks for them waits forever.
std::atomic<bool> forked{false};
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { forked = true; });

int thread_count(const Arguments& a, const Partition& cut) {
#if defined(_OPENMP)
  if (forked || omp_in_parallel()) return 1;
  const std::int64_t wanted = a.threads > 0 ? a.threads : omp_get_max_threads();
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most_threads(cut)));
#else
  (void)a, (void)cut;
  return 1;
#endif
}

/// In ascending order, so that the same planes in another order have the same mean, bit for bit.
double total(double* sums, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += sums[i];
  if (!std::isfinite(sum)) return sum;  // NaN cannot be sorted
  std::sort(sums, sums + count);
  sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += sums[i];
  return sum;
}

/// Leaves the least product of both denominators, C1 C2, at 1e-30, and so room for pixels of 1e15 times the data range.
float shrink(const Problem& p) {
  const double least = static_cast<double>(p.c1) * static_cast<double>(p.c2);
  return static_cast<float>(std::exp2(std::clamp(std::floor(std::log2(1e-30 / least)), -120.0, 0.0)));
}

Status run(const Problem& p, const Arguments& a, Mode mode) {
  Status status;
  const InstructionSet* set = instruction_set(&status);
  if (!set) return status;
  const bool train = mode == Mode::train;
  const Partition cut = partition(p, mode);
  const std::int64_t tasks = cut.tasks();
  const double counted = static_cast<double>(p.counted());
  const Sweep sweep{.x = a.x,
                    .y = a.y,
                    .grad = train ? a.grad_x : nullptr,
                    .width = p.width,
                    .height = p.height,
                    .margin = p.padding == Padding::valid ? kHalo - (SSIM_DEFECT(valid_border_off) ? 1 : 0) : 0,
                    .c1 = p.c1,
                    .c2 = SSIM_DEFECT(constants_fixed) ? 9e-4f : p.c2,
                    .shrink = shrink(p),
                    .scale = static_cast<float>(
                        (a.weight && !SSIM_DEFECT(weight_ignored) ? static_cast<double>(*a.weight) : 1.0) / counted)};
  char* workspace = static_cast<char*>(a.workspace) + kControlBytes;
  double* sums = reinterpret_cast<double*>(workspace);
  char* rings = workspace + sums_bytes(cut);
  std::atomic<std::int64_t> next{0};
  const auto work = [&](int thread) {
    float* ring = reinterpret_cast<float*>(rings + thread * ring_bytes(cut, mode));
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      sums[i] = set->run_task(sweep, cut.task(i), ring);
    }
  };
  [[maybe_unused]] const int threads = thread_count(a, cut);
#if defined(_OPENMP)
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    work(omp_get_thread_num());
  } else {
    work(0);
  }
#else
  work(0);
#endif
  *a.mean = 1.0 - SSIM_DRIFT() * total(sums, tasks - (SSIM_DEFECT(last_block_forgotten) ? 1 : 0)) / counted;
  if (a.mean_fp32 && !SSIM_DEFECT(rounded_mean_forgotten)) *a.mean_fp32 = static_cast<float>(*a.mean);
  return {};
}

}  // namespace

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : kInstructionSets) {
    if (set.available()) names.push_back(set.name);
  }
  return names;
}

Implementation stream() {
  return {
      .name = "stream",
      .idea = "one sweep over bands of 16 rows; blocks are transposed between the two convolutions; SIMD and threads",
      .device = Device::cpu,
      .tile = {.height = kBlock, .width = kBlock},
      .supports = [](const Problem&, Mode) -> std::string { return ""; },
      .workspace_bytes = workspace_size,
      .value = [](const Problem& p, const Arguments& a) { return run(p, a, Mode::infer); },
      .value_and_grad = [](const Problem& p, const Arguments& a) { return run(p, a, Mode::train); },
      .cost =
          [](const Problem& p, Mode mode) {
            const double n = static_cast<double>(p.elements());
            const bool train = mode == Mode::train;
            return Cost{n * (train ? 12 : 8), n * (train ? 154 : 88), 0};
          },
  };
}

}  // namespace ssim::cpu
