// SPDX-License-Identifier: MIT
// Compiled like a row for the emulation: checked at every load and store.
#include "broken_kernels.hpp"

#include <cmath>
#include <cstring>

#include "emulated_floats.hpp"
#include "kernels/cuda/block_mean.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

using verify::Floats;

struct Row {
  float value[64];
};

template <typename... Parameters, typename... Given>
Status run(const char* name, void (*kernel)(Parameters...), int blocks, int threads, std::size_t bytes,
           Given&&... given) {
  return launch(name, kernel, dim3(blocks), dim3(threads), bytes, nullptr, std::forward<Given>(given)...);
}

// ---- memory ---------------------------------------------------------------------------------------------------------

__global__ void shared_overrun(float* out) {
  float* row = shared<Row>().value;
  row[threadIdx.x * 3] = 1;  // 22 threads fit
  out[threadIdx.x] = row[threadIdx.x * 3];
}

__global__ void array_index(float* out) {
  auto& row = shared<Row>();
  row.value[threadIdx.x] = 1;  // 64 values, 96 threads; there is more shared memory behind them
  out[0] = 1;
}

__global__ void shared_too_small(float* out) { out[threadIdx.x] = shared<Row>().value[0]; }

__global__ void read_past_end(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x + 1]; }
__global__ void write_before_start(float* out) { out[static_cast<int>(threadIdx.x) - 1] = 1; }
__global__ void write_far_away(float* out) { out[(std::int64_t{1} << 46) + threadIdx.x] = 1; }
__global__ void null_pointer(const float* in, float* out) { out[threadIdx.x] = in[threadIdx.x]; }

__global__ void other_threads_local(float* out) {
  struct Pointers {
    float* to[32];
  };
  auto& shared_pointers = shared<Pointers>();
  float own[4] = {};
  shared_pointers.to[threadIdx.x] = own;
  sync_block();
  out[threadIdx.x] = shared_pointers.to[(threadIdx.x + 1) % 32][2];
  sync_block();
  out[threadIdx.x] += own[0];
}

__device__ float deep(volatile float* above, int depth) {
  volatile float local[1024];
  for (int i = 0; i < 1024; ++i) local[i] = above[i] + 1;
  return depth == 0 ? local[5] : deep(local, depth - 1) + local[7];
}
__global__ void stack_overflow(float* out, int depth) {
  volatile float local[1024] = {};
  out[threadIdx.x] = deep(local, depth);
}

struct alignas(16) Four {
  float v[4];
};
__global__ void misaligned_vector(const float* in, float* out) {
  const auto* four = reinterpret_cast<const Four*>(in + 1 + 4 * threadIdx.x);
  out[threadIdx.x] = four->v[0] + four->v[3];
}

__global__ void unwaited_read(const float* in, float* out) {
  let_next_begin();
  const float value = in[threadIdx.x];
  wait_for_kernels_before();
  out[threadIdx.x] = value;
}

__global__ void unwaited_return(const float* in, float* out) {
  if (threadIdx.x >= 32) return;
  wait_for_kernels_before();
  out[threadIdx.x] = in[threadIdx.x];
}

__global__ void waited(const float* in, float* out) {
  let_next_begin();
  float* own = shared<Row>().value;
  own[threadIdx.x] = 1;
  wait_for_kernels_before();
  out[threadIdx.x] = in[threadIdx.x] + own[threadIdx.x];
}

// ---- barriers and collectives ---------------------------------------------------------------------------------------

__global__ void barrier_in_branch(float* out) {
  if (threadIdx.x < 40) sync_block();
  out[threadIdx.x] = 1;
}

__global__ void early_return(float* out, int count) {
  if (static_cast<int>(threadIdx.x) >= count) return;
  sync_block();
  out[threadIdx.x] = 1;
}

__global__ void barriers_in_branches(float* out) {
  if (threadIdx.x < 32) {
    sync_block();
  } else {
    sync_block();
  }
  out[threadIdx.x] = 1;
}

__global__ void barrier_of_other_size(float* out) {
  sync_roles<96, Role::first>();
  out[threadIdx.x] = 1;
}

__global__ void shuffle_in_branch(float* out) {
  float v = static_cast<float>(threadIdx.x);
  if (threadIdx.x % 2 == 0) v = shuffle_down(v, 2);
  out[threadIdx.x] = v;
}

__global__ void different_collectives(float* out) {
  const float v = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = threadIdx.x == 7 ? shuffle_up(v, 1) : shuffle_down(v, 1);
}

__global__ void barrier_against_shuffle(float* out) {
  const float v = static_cast<float>(threadIdx.x);
  if (threadIdx.x == 3) sync_block();
  out[threadIdx.x] = shuffle_down(v, 1);
  if (threadIdx.x != 3) sync_block();
}

__global__ void waits_for_a_block(double* flag, double* out) {
  if (blockIdx.x == 0) {
    while (load_global(flag) != 7) {
    }
  }
  *out = 1;
}

// ---- races ----------------------------------------------------------------------------------------------------------

__global__ void missing_barrier(float* out) {
  auto& row = shared<Row>();
  row.value[threadIdx.x] = 1;
  out[threadIdx.x] = row.value[63 - threadIdx.x];
}

__global__ void missing_warp_barrier(float* out) {
  auto& row = shared<Row>();
  row.value[threadIdx.x] = 1;
  out[threadIdx.x] = row.value[threadIdx.x ^ 1];
}

__global__ void overwritten_too_early(float* out) {
  auto& row = shared<Row>();
  for (int i = 0; i < 4; ++i) {
    row.value[threadIdx.x] = static_cast<float>(i);
    sync_block();
    out[threadIdx.x] = row.value[63 - threadIdx.x];
  }  // here one is missing
}

__global__ void all_write_one(float* out) {
  auto& row = shared<Row>();
  row.value[0] = static_cast<float>(threadIdx.x);
  sync_block();
  out[threadIdx.x] = row.value[0];
}

__global__ void warp_barrier_for_block(float* out) {
  auto& row = shared<Row>();
  row.value[threadIdx.x] = 1;
  sync_warp();
  out[threadIdx.x] = row.value[63 - threadIdx.x];
}

// ---- asynchronous copies --------------------------------------------------------------------------------------------

__global__ void copy_misaligned(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<16>(&row.value[4 * threadIdx.x], in + 1 + 4 * threadIdx.x, true);
  copy_commit();
  copy_wait<0>();
  out[threadIdx.x] = row.value[4 * threadIdx.x];
}

__global__ void copy_past_end(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x + 1, true);
  copy_commit();
  copy_wait<0>();
  out[threadIdx.x] = row.value[threadIdx.x];
}

__global__ void copy_to_local(const float* in, float* out) {
  float local[4] = {};
  copy_async<4>(&local[threadIdx.x % 4], in, true);
  copy_commit();
  copy_wait<0>();
  out[threadIdx.x] = local[threadIdx.x % 4];
}

__global__ void copy_unfinished(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x, true);
  copy_commit();
  out[threadIdx.x] = 1;
}

__global__ void copy_without_barrier(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x, true);
  copy_commit();
  copy_wait<0>();
  out[threadIdx.x] = row.value[63 - threadIdx.x];
}

__global__ void copy_over_what_is_read(const float* in, float* out) {
  auto& row = shared<Row>();
  row.value[threadIdx.x] = 1;
  sync_block();
  out[threadIdx.x] = row.value[63 - threadIdx.x];
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x, true);
  copy_commit();
  copy_wait<0>();
}

// ---- mistakes that show in the result -------------------------------------------------------------------------------

__global__ void missing_wait(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x, true);
  copy_commit();
  out[threadIdx.x] = row.value[threadIdx.x];
  copy_wait<0>();
}

__global__ void wait_for_too_few(const float* in, float* out) {
  auto& row = shared<Row>();
  copy_async<4>(&row.value[threadIdx.x], in + threadIdx.x, true);
  copy_commit();
  copy_async<4>(&row.value[threadIdx.x + 32], in + threadIdx.x, true);
  copy_commit();
  copy_wait<1>();
  out[threadIdx.x] = row.value[threadIdx.x + 32];
  copy_wait<0>();
}

__global__ void uninitialised(float* out) { out[threadIdx.x] = shared<Row>().value[threadIdx.x]; }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
__global__ void uninitialised_local(const float* in, float* out) {
  float sum;
  sum += in[threadIdx.x];
  out[threadIdx.x] = sum;
}
#pragma GCC diagnostic pop

__global__ void uninitialised_array(float* out) {
  float ring[4];
  for (int i = 0; i < static_cast<int>(threadIdx.x % 5); ++i) ring[i] = 1;
  out[threadIdx.x] = ring[3];
}

__global__ void counts_on_block_order(double* sum) {
  if (threadIdx.x == 0) *sum = *sum * 3 + blockIdx.x;
}

__global__ void counts_on_warp_order(float* order, unsigned long long* counter) {
  if (threadIdx.x % 32 == 0) order[threadIdx.x / 32] = static_cast<float>(atomic_add(counter, 1));
}

// What -ftrivial-auto-var-init=pattern leaves: no number (Clang) or one below every image's (GCC).
bool all_wild(const float* values, int count) {
  for (int i = 0; i < count; ++i) {
    if (values[i] > -1e30f) return false;
  }
  return true;
}

bool any_nan(const float* values, int count) {
  for (int i = 0; i < count; ++i) {
    if (std::isnan(values[i])) return true;
  }
  return false;
}

// ---- kernels that are right -----------------------------------------------------------------------------------------

__global__ void shuffles(float* out) {
  const float v = static_cast<float>(threadIdx.x);
  const int lane = threadIdx.x % 32;
  float* own = out + 6 * threadIdx.x;
  own[0] = shuffle_down(v, 3);
  own[1] = shuffle_up(v, 5);
  own[2] = shuffle_xor(v, 9);
  own[3] = shuffle(v, (lane * 7 + 1) % 32);
  own[4] = static_cast<float>(shuffle_down(static_cast<double>(v) + 0.5, 1));
  own[5] = static_cast<float>(ballot(lane % 3 == 0) & 0xfffu);
}

std::string test_shuffles() {
  const Floats out(6 * 96);
  if (Status s = run("shuffles", shuffles, 1, 96, 0, static_cast<float*>(out)); !s) return s.message;
  for (int t = 0; t < 96; ++t) {
    const int lane = t % 32, base = t - lane;
    const float expected[6] = {
        static_cast<float>(lane + 3 < 32 ? t + 3 : t),
        static_cast<float>(lane >= 5 ? t - 5 : t),
        static_cast<float>(base + (lane ^ 9)),
        static_cast<float>(base + (lane * 7 + 1) % 32),
        static_cast<float>(lane + 1 < 32 ? t + 1 : t) + 0.5f,
        static_cast<float>(0b001001001001),
    };
    for (int i = 0; i < 6; ++i) {
      if (out[6 * t + i] != expected[i]) {
        return "thread " + std::to_string(t) + ", value " + std::to_string(i) + ": " + std::to_string(out[6 * t + i]) +
               " instead of " + std::to_string(expected[i]);
      }
    }
  }
  return "";
}

__global__ void indices(float* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += 1;
}

std::string test_indices() {
  const int count = 3 * 4 * 5 * (7 * 3 * 2);
  const Floats out(count);
  Status s = launch("indices", indices, dim3(3, 4, 5), dim3(7, 3, 2), 0, nullptr, static_cast<float*>(out));
  if (!s) return s.message;
  for (int i = 0; i < count; ++i) {
    if (out[i] != static_cast<float>(i + 1)) return "element " + std::to_string(i) + " was not visited once";
  }
  return "";
}

struct Ring {
  float row[3][256];
};

// A three-stage ring: the row is read by another thread than the one that copied it.
__global__ void pipeline(const float* in, float* out, int rows) {
  auto& ring = shared<Ring>();
  const int t = threadIdx.x;
  const auto fetch = [&](int row) {
    copy_async<4>(&ring.row[row % 3][t], in + row * 256 + t, row < rows);
    copy_commit();
  };
  fetch(0);
  fetch(1);
  for (int row = 0; row < rows; ++row) {
    copy_wait<1>();
    sync_block();
    if (row + 2 < rows) {
      fetch(row + 2);
    } else {
      copy_commit();
    }
    out[row * 256 + t] = ring.row[row % 3][255 - t];
  }
  copy_wait<0>();
}

std::string test_pipeline() {
  const int rows = 20;
  const Floats in(rows * 256), out(rows * 256);
  Status s = run("pipeline", pipeline, 1, 256, sizeof(Ring), static_cast<float*>(in), static_cast<float*>(out), rows);
  if (!s) return s.message;
  for (int i = 0; i < rows * 256; ++i) {
    if (out[i] != in[i / 256 * 256 + 255 - i % 256]) return "element " + std::to_string(i);
  }
  return "";
}

__global__ void sum_blocks(const float* values, MeanSum sum) {
  finish_mean<64>(threadIdx.x == 37 ? values[blockIdx.x] : 0, shared<BlockMean>(), sum);
}

// Sums of either sign and of sizes far apart, and then what is no sum in one block, with one word for all launches.
std::string test_block_mean() {
  unsigned long long word = 0;
  for (const int blocks : {1, 2, 132, 4096}) {
    const Floats values(blocks);
    const Problem problem{.height = 64, .width = blocks};
    double exact = 0, mean = 0;
    float rounded = 0;
    for (int i = 0; i < blocks; ++i) {
      values[i] = i % 3 == 0 ? 70.5f : i % 3 == 1 ? -1e-6f * static_cast<float>(i) : 3e-9f;
      exact += static_cast<double>(values[i]);
    }
    const MeanSum sum =
        mean_sum(problem, {.mean = &mean, .mean_fp32 = &rounded, .workspace = &word, .workspace_bytes = 256}, blocks);
    const auto launched = [&] {
      return run("sum_blocks", sum_blocks, blocks, 64, sizeof(BlockMean), static_cast<const float*>(values), sum);
    };
    if (Status s = launched(); !s) return s.message;
    const double expected = 1 - exact / static_cast<double>(problem.counted());
    const double unit = sum.scale;  // of the mean; each block is off by half of one at most
    if (std::abs(mean - expected) > unit * blocks / 2 + 2e-16 || unit > 4e-18 * blocks) {
      return std::to_string(blocks) + " blocks: off by " + std::to_string((mean - expected) / unit) + " units";
    }
    if (rounded != static_cast<float>(mean)) return "rounded to " + std::to_string(rounded);
    for (const float wrong : {NAN, INFINITY, -INFINITY, 1e30f}) {
      values[blocks / 2] = wrong;
      if (Status s = launched(); !s) return s.message;
      if (!std::isnan(mean) || !std::isnan(rounded)) return "a sum of " + std::to_string(wrong) + " got lost";
    }
    if (word != 0) return "the word is left at " + std::to_string(word);
  }
  return "";
}

// Neighbours within a warp need no more than sync_warp.
__global__ void warp_exchange(float* out) {
  auto& row = shared<Row>();
  const int t = threadIdx.x;
  float sum = 0;
  for (int i = 0; i < 10; ++i) {
    sync_warp();
    row.value[t] = static_cast<float>(t * i);
    sync_warp();
    sum += row.value[t ^ 1];
  }
  out[t] = sum;
}

std::string test_warp_exchange() {
  const Floats out(64);
  if (Status s = run("warp_exchange", warp_exchange, 1, 64, sizeof(Row), static_cast<float*>(out)); !s) {
    return s.message;
  }
  for (int t = 0; t < 64; ++t) {
    if (out[t] != static_cast<float>(45 * (t ^ 1))) return "thread " + std::to_string(t);
  }
  return "";
}

// ---- how each is launched -------------------------------------------------------------------------------------------

template <auto kKernel>
Status with_output(const char* name, int threads, std::size_t bytes) {
  const Floats out(threads);
  return run(name, kKernel, 3, threads, bytes, static_cast<float*>(out));
}

template <auto kKernel>
Status with_copy(const char* name, int threads, std::size_t bytes) {
  const Floats in(threads), out(threads);
  return run(name, kKernel, 3, threads, bytes, static_cast<const float*>(in), static_cast<float*>(out));
}

template <void (*kKernel)(const float*, float*)>
Status launched_early(const char* name) {
  const Floats in(64), out(64);
  return launch<Start::early>(name, kKernel, dim3(2), dim3(64), sizeof(Row), nullptr, static_cast<const float*>(in),
                              static_cast<float*>(out));
}

}  // namespace
}  // namespace ssim::SSIM_CUDA_NAMESPACE

namespace ssim::verify {

using namespace ssim::SSIM_CUDA_NAMESPACE;

#define SSIM_WITH_OUTPUT(kernel, threads, bytes) [] { return with_output<kernel>(#kernel, threads, bytes); }
#define SSIM_WITH_COPY(kernel, threads, bytes) [] { return with_copy<kernel>(#kernel, threads, bytes); }

const std::vector<BrokenKernel>& broken_kernels() {
  static const std::vector<BrokenKernel> kernels = {
      {"shared_overrun", "writes past the end of the shared memory that the launch gave",
       "write of 4 bytes at byte [0-9]+ of the block's 256 bytes of shared memory",
       SSIM_WITH_OUTPUT(shared_overrun, 32, sizeof(Row))},
      {"array_index", "index beyond an array, still inside shared memory",
       "index [0-9]+ is outside of 'float *\\[64\\]'", SSIM_WITH_OUTPUT(array_index, 96, 4 * sizeof(Row))},
      {"shared_too_small", "launched with less shared memory than the kernel's struct",
       "shared memory of 256 bytes is used, the launch gave 128", SSIM_WITH_OUTPUT(shared_too_small, 32, 128)},
      {"read_past_end", "reads one float too far",
       "read of 4 bytes at address 0x[0-9a-f]+, 0 bytes past the end of the 256 bytes",
       SSIM_WITH_COPY(read_past_end, 64, 0)},
      {"write_before_start", "writes one float before its buffer",
       "write of 4 bytes at address 0x[0-9a-f]+, 4 bytes before the 256 bytes",
       SSIM_WITH_OUTPUT(write_before_start, 64, 0)},
      {"write_far_away", "a wild index", "illegal access to address 0x[0-9a-f]+",
       SSIM_WITH_OUTPUT(write_far_away, 32, 0)},
      {"null_pointer", "reads through a null pointer", "illegal access to address (\\(nil\\)|0x[0-9a-f]{1,2})(,|\\s|$)",
       [] {
         const Floats out(32);
         return run("null_pointer", null_pointer, 1, 32, 0, static_cast<const float*>(nullptr),
                    static_cast<float*>(out));
       }},
      {"other_threads_local", "reads a local array of another thread", "of another thread's local memory",
       SSIM_WITH_OUTPUT(other_threads_local, 32, 32 * sizeof(float*))},
      {"stack_overflow", "local arrays larger than the stack", "the end of a thread's stack",
       [] {
         const Floats out(32);
         return run("stack_overflow", stack_overflow, 1, 32, 0, static_cast<float*>(out), 100);
       }},
      {"misaligned_vector", "a 16-byte load from an address that is only 4-byte aligned",
       "broken_kernels.cpp:[0-9]+: address 0x[0-9a-f]+ is used as .*, which needs 16-byte alignment",
       [] {
         const Floats in(256), out(32);
         return run("misaligned_vector", misaligned_vector, 1, 32, 0, static_cast<const float*>(in),
                    static_cast<float*>(out));
       }},
      {"barrier_in_branch", "sync_block inside a branch that not all threads take",
       "deadlock: 40 of 64 threads wait in sync_block .*24 have returned", SSIM_WITH_OUTPUT(barrier_in_branch, 64, 0)},
      {"early_return", "threads return before a barrier of the block",
       "deadlock: 50 of 64 threads wait in sync_block .*14 have returned",
       [] {
         const Floats out(64);
         return run("early_return", early_return, 1, 64, 0, static_cast<float*>(out), 50);
       }},
      {"barriers_in_branches", "one half of the block is in one sync_block, the other in another",
       "the threads of the block meet in different barriers: .*broken_kernels.cpp:[0-9]+ here, "
       ".*broken_kernels.cpp:[0-9]+ in others",
       SSIM_WITH_OUTPUT(barriers_in_branches, 64, 0)},
      {"barrier_of_other_size", "sync_roles for more threads than there are", "sync_roles<96> in a block of 64 threads",
       SSIM_WITH_OUTPUT(barrier_of_other_size, 64, 0)},
      {"shuffle_in_branch", "a shuffle that half of the lanes reach",
       "deadlock: 16 of 32 threads wait in shuffle_down .*16 have returned",
       SSIM_WITH_OUTPUT(shuffle_in_branch, 32, 0)},
      {"different_collectives", "lanes of one warp meet in different collectives",
       "the lanes of a warp meet in different collectives: shuffle_(up|down) here, shuffle_(up|down) in thread",
       SSIM_WITH_OUTPUT(different_collectives, 32, 0)},
      {"barrier_against_shuffle", "one lane waits at a barrier, the others in a shuffle",
       "deadlock: 1 of 32 threads wait in sync_block \\(\\(3, 0, 0\\)\\), 31 of 32 threads wait in shuffle_down",
       SSIM_WITH_OUTPUT(barrier_against_shuffle, 32, 0)},
      {"waits_for_a_block", "a block spins on a value that no thread writes", "waits in vain for another value at",
       [] {
         const Floats memory(4);
         double* values = reinterpret_cast<double*>(static_cast<float*>(memory));
         return run("waits_for_a_block", waits_for_a_block, 2, 1, 0, values, values + 1);
       }},
      {"missing_barrier", "reads what another warp writes, no barrier between",
       "race in shared memory: ", SSIM_WITH_OUTPUT(missing_barrier, 64, sizeof(Row))},
      {"missing_warp_barrier", "reads what another lane writes, no sync_warp between",
       "race in shared memory: ", SSIM_WITH_OUTPUT(missing_warp_barrier, 32, sizeof(Row))},
      {"overwritten_too_early", "a loop without the barrier behind its reads",
       "race in shared memory: (writes byte [0-9]+, which thread .* reads|reads byte [0-9]+, which thread .* writes)",
       SSIM_WITH_OUTPUT(overwritten_too_early, 64, sizeof(Row))},
      {"all_write_one", "all threads write the same place",
       "race in shared memory: writes byte 0, which thread .* writes with no barrier",
       SSIM_WITH_OUTPUT(all_write_one, 64, sizeof(Row))},
      {"warp_barrier_for_block", "a barrier of the warp where one of the block is needed",
       "race in shared memory: ", SSIM_WITH_OUTPUT(warp_barrier_for_block, 64, sizeof(Row))},
      {"copy_misaligned", "an asynchronous copy of 16 bytes from a 4-byte aligned address",
       "copy_async<16>: source 0x[0-9a-f]+ is not aligned to 16 bytes",
       [] {
         const Floats in(128), out(16);
         return run("copy_misaligned", copy_misaligned, 1, 16, sizeof(Row), static_cast<const float*>(in),
                    static_cast<float*>(out));
       }},
      {"copy_past_end", "an asynchronous copy reads one float too far",
       "read of 4 bytes at address .*0 bytes past the end", SSIM_WITH_COPY(copy_past_end, 64, sizeof(Row))},
      {"copy_to_local", "an asynchronous copy to something that is not shared memory",
       "asynchronous copy of 4 bytes to address", SSIM_WITH_COPY(copy_to_local, 32, sizeof(Row))},
      {"copy_unfinished", "returns without having waited for its copies",
       "thread returns while 1 of its asynchronous copies are unfinished",
       SSIM_WITH_COPY(copy_unfinished, 64, sizeof(Row))},
      {"copy_without_barrier", "waits for its own copies, then reads those of others",
       "race in shared memory: ", SSIM_WITH_COPY(copy_without_barrier, 64, sizeof(Row))},
      {"copy_over_what_is_read", "starts a copy over what other warps still read",
       "race in shared memory: ", SSIM_WITH_COPY(copy_over_what_is_read, 64, sizeof(Row))},
      {"unwaited_read", "launched early, reads before it waits for the kernels before it",
       "read of 4 bytes at address .* before wait_for_kernels_before",
       [] { return launched_early<unwaited_read>("unwaited_read"); }},
      {"unwaited_return", "launched early, and some threads never wait", "returns, and has waited for none",
       [] { return launched_early<unwaited_return>("unwaited_return"); }},
      {"too_many_threads", "a block of 2048 threads", "threads of a block = 2048, allowed is 1 ... 1024",
       [] {
         return launch("too_many_threads", uninitialised, dim3(1), dim3(1024, 2), 0, nullptr,
                       static_cast<float*>(nullptr));
       }},
      {"empty_grid", "a grid of no blocks", "grid.x = 0, allowed is 1 ... 2147483647",
       [] { return launch("empty_grid", uninitialised, dim3(0), dim3(32), 0, nullptr, static_cast<float*>(nullptr)); }},
      {"too_tall_grid", "more than 65535 blocks along z", "grid.z = 70000, allowed is 1 ... 65535",
       [] {
         return launch("too_tall_grid", uninitialised, dim3(1, 1, 70000), dim3(32), 0, nullptr,
                       static_cast<float*>(nullptr));
       }},
      {"too_much_shared", "more shared memory than a block can have", "shared_bytes = 300000, allowed is 0 ... 232448",
       [] {
         return launch("too_much_shared", uninitialised, dim3(1), dim3(32), 300000, nullptr,
                       static_cast<float*>(nullptr));
       }},
  };
  return kernels;
}

const std::vector<VisibleMistake>& visible_mistakes() {
  static const std::vector<VisibleMistake> mistakes = {
      {"missing_wait", "reads what it copies before it has waited: NaN",
       [] {
         const Floats in(64), out(64);
         const Status s = run("missing_wait", missing_wait, 1, 64, sizeof(Row), static_cast<const float*>(in),
                              static_cast<float*>(out));
         return s && any_nan(out, 64);
       }},
      {"wait_for_too_few", "waits for the group before the one that it reads: NaN",
       [] {
         const Floats in(32), out(32);
         const Status s = run("wait_for_too_few", wait_for_too_few, 1, 32, sizeof(Row), static_cast<const float*>(in),
                              static_cast<float*>(out));
         return s && any_nan(out, 32);
       }},
      {"uninitialised", "reads shared memory that nobody wrote: NaN",
       [] {
         const Floats out(64);
         const Status s = run("uninitialised", uninitialised, 2, 64, sizeof(Row), static_cast<float*>(out));
         return s && any_nan(out, 64);
       }},
      {"uninitialised_local", "adds to a local variable that has no value yet",
       [] {
         const Floats in(64), out(64);
         const Status s = run("uninitialised_local", uninitialised_local, 1, 64, 0, static_cast<const float*>(in),
                              static_cast<float*>(out));
         return s && all_wild(out, 64);
       }},
      {"uninitialised_array", "reads a local array where only some threads have filled it",
       [] {
         const Floats out(64);
         const Status s = run("uninitialised_array", uninitialised_array, 1, 64, 0, static_cast<float*>(out));
         return s && out[4] == 1 && all_wild(out, 4);
       }},
      {"counts_on_block_order", "blocks that only work in the order of their index",
       [] {
         double sums[5] = {};
         bool differ = false;
         for (double& sum : sums) {
           if (!run("counts_on_block_order", counts_on_block_order, 20, 32, 0, &sum)) return false;
           differ |= sum != sums[0];
         }
         return differ;
       }},
      {"counts_on_warp_order", "warps that only work in the order of their index",
       [] {
         const Floats in(32);
         bool moved = false;
         for (int i = 0; i < 3; ++i) {
           unsigned long long counter = 0;
           if (!run("counts_on_warp_order", counts_on_warp_order, 1, 1024, 0, static_cast<float*>(in), &counter)) {
             return false;
           }
           for (int warp = 0; warp < 32; ++warp) moved |= in[warp] != static_cast<float>(warp);
         }
         return moved;
       }},
  };
  return mistakes;
}

const std::vector<RightKernel>& right_kernels() {
  static const std::vector<RightKernel> kernels = {
      {"shuffles", test_shuffles},
      {"indices", test_indices},
      {"pipeline", test_pipeline},
      {"block_mean", test_block_mean},
      {"warp_exchange", test_warp_exchange},
      {"waited", [] { return std::string(launched_early<waited>("waited").message); }},
  };
  return kernels;
}

}  // namespace ssim::verify
