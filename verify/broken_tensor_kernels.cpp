// SPDX-License-Identifier: MIT
// Right and broken kernels for the primitives of tensor cores. Compiled like a row for the emulation.
#include <cmath>
#include <cstring>

#include "broken_kernels.hpp"
#include "emulated_floats.hpp"
#include "kernels/cuda/primitives_tensor.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {
namespace {

using verify::Floats;

template <typename... Parameters, typename... Given>
Status run(const char* name, void (*kernel)(Parameters...), int threads, std::size_t bytes, Given&&... given) {
  return launch(name, kernel, dim3(1), dim3(threads), bytes, nullptr, std::forward<Given>(given)...);
}

// ---- right: the vote of a block -------------------------------------------------------------------------------------

__global__ void votes(float* out) {
  const int thread = threadIdx.x;
  // Three votes behind one another: nobody, one thread, all but one.
  const bool nobody = sync_block_or(false), one = sync_block_or(thread == 77), most = sync_block_or(thread != 3);
  out[thread] = static_cast<float>((nobody ? 1 : 0) + (one ? 2 : 0) + (most ? 4 : 0));
}

std::string test_votes() {
  const Floats out(96);
  if (Status s = run("votes", votes, 96, 0, static_cast<float*>(out)); !s) return s.message;
  for (int i = 0; i < 96; ++i) {
    if (out[i] != 6) return "thread " + std::to_string(i) + " saw " + std::to_string(out[i]);
  }
  return "";
}

// ---- right: half precision ------------------------------------------------------------------------------------------

__global__ void halves(float* out) {
  // Exactly between two halves goes to the even one; overflow, subnormals, signs.
  out[0] = low_half(pack_half2(1.0f + 0x1p-11f, 0));
  out[1] = low_half(pack_half2(1.0f + 3 * 0x1p-11f, 0));
  out[2] = high_half(pack_half2(0, 65519.0f));
  out[3] = high_half(pack_half2(0, 65520.0f));
  out[4] = low_half(pack_half2(0x1p-24f, 0));
  out[5] = low_half(pack_half2(0x1p-25f, 0));
  out[6] = low_half(pack_half2(-0x1.8p-24f, 0));
  out[7] = low_half(pack_half2(2047.5f, 0));
  // hi * hi - round(hi * hi) by fma is exact.
  const Half2 a = pack_half2(1.0f + 0x1p-10f, -3.0f), b = pack_half2(1.0f + 0x1p-10f, 0.1f);
  const Half2 product = mul_half2(a, b);
  out[8] = low_half(product);
  out[9] = low_half(fma_half2(a, b, negate_half2(product)));
  out[10] = high_half(add_half2(a, b));
  // 1 + (tiny product): the tiny part decides a tie.
  const Half2 one_tie = pack_half2(1.0f, 1.0f), x = pack_half2(0x1p-6f, 0x1p-6f), y = pack_half2(0x1p-5f, 0x1.004p-5f);
  out[11] = low_half(fma_half2(x, y, one_tie));
  out[12] = high_half(fma_half2(x, y, one_tie));
}

std::string test_halves() {
  const Floats out(13);
  if (Status s = run("halves", halves, 1, 0, static_cast<float*>(out)); !s) return s.message;
  const float tenth = 0x1.998p-4f;  // 0.1 as a half
  const float expected[13] = {1.0f,
                              1.0f + 0x1p-9f,
                              65504.0f,
                              HUGE_VALF,
                              0x1p-24f,
                              0.0f,
                              -0x1p-23f,
                              2048.0f,
                              1.0f + 0x1p-9f,
                              0x1p-20f,
                              std::nearbyint((-3.0f + tenth) * 512) / 512,
                              1.0f,
                              1.0f + 0x1p-10f};
  for (int i = 0; i < 13; ++i) {
    if (out[i] != expected[i]) {
      return "value " + std::to_string(i) + ": " + std::to_string(out[i]) + " instead of " +
             std::to_string(expected[i]);
    }
  }
  return "";
}

// ---- right: matrices ------------------------------------------------------------------------------------------------

// Any 16 x 16 and 16 x 8 numbers that halves hold exactly.
float element_a(int row, int k) { return static_cast<float>((row * 7 + k * 3) % 29 - 14) / 8; }
float element_b(int k, int column) { return static_cast<float>((k * 5 + column * 11) % 23 - 11) / 16; }

__global__ void products(float* out) {
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  Half2 a[4], b[2];
  for (int i = 0; i < 4; ++i) {
    const int row = g + 8 * (i % 2), k = 2 * t + 8 * (i / 2);
    a[i] = pack_half2(element_a(row, k), element_a(row, k + 1));
  }
  for (int i = 0; i < 2; ++i) {
    const int k = 2 * t + 8 * i;
    b[i] = pack_half2(element_b(k, g), element_b(k + 1, g));
  }
  float c[4], d[4];
  for (int i = 0; i < 4; ++i) c[i] = static_cast<float>(i + lane);
  mma_m16n8k16(d, a, b, c);
  for (int i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = d[i];
  const Half2 short_a[2] = {a[0], a[1]}, short_b[1] = {b[0]};
  mma_m16n8k8(d, short_a, short_b, c);
  for (int i = 0; i < 4; ++i) out[128 + (g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = d[i];
}

std::string test_products() {
  const Floats out(256);
  if (Status s = run("products", products, 32, 0, static_cast<float*>(out)); !s) return s.message;
  for (int half = 0; half < 2; ++half) {
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        double sum = row % 8 * 4 + column / 2 + (row / 8 * 2 + column % 2);  // c
        for (int k = 0; k < (half ? 8 : 16); ++k) {
          sum += static_cast<double>(element_a(row, k)) * static_cast<double>(element_b(k, column));
        }
        if (static_cast<double>(out[128 * half + row * 8 + column]) != sum) {
          return "row " + std::to_string(row) + ", column " + std::to_string(column) + ": " +
                 std::to_string(out[128 * half + row * 8 + column]) + " instead of " + std::to_string(sum);
        }
      }
    }
  }
  return "";
}

// Accumulation rounds towards zero: 1 and half a unit in its last place stay 1, on either side.
__global__ void truncation(float* out) {
  const int t = threadIdx.x % 4;
  const Half2 first = t == 0 ? pack_half2(0x1p-12f, 0) : 0;
  const Half2 a[4] = {first, first, 0, 0}, b[2] = {t == 0 ? pack_half2(0x1.8p-12f, 0) : 0, 0};
  const float plus[4] = {1, 1, 1, 1}, minus[4] = {-1, -1, -1, -1};
  float d[4];
  mma_m16n8k16(d, a, b, plus);
  if (threadIdx.x == 0) out[0] = d[0];
  const Half2 negative[4] = {negate_half2(a[0]), negate_half2(a[1]), 0, 0};
  mma_m16n8k16(d, negative, b, minus);
  if (threadIdx.x == 0) out[1] = d[0];
  mma_m16n8k16(d, negative, b, plus);  // 1 - 0.75 units of 2^-23 is 1 - 1.5 units of 2^-24: cut to 1 - 2^-24
  if (threadIdx.x == 0) out[2] = d[0];
}

std::string test_truncation() {
  const Floats out(3);
  if (Status s = run("truncation", truncation, 32, 0, static_cast<float*>(out)); !s) return s.message;
  // 1.5 * 2^-24 above 1: to nearest it would be 1 + 2^-23.
  if (out[0] != 1) return "rounded up instead of cut off";
  if (out[1] != -1) return "rounded down instead of cut off";
  return out[2] == 1 - 0x1p-23f ? "" : "difference " + std::to_string(out[2]);
}

struct Matrices {
  alignas(16) std::uint16_t from[4][8][8], to[4][8][8], to_transposed[4][8][8];
};

__global__ void matrices(std::uint16_t* out) {
  auto& memory = shared<Matrices>();
  const int lane = threadIdx.x;
  for (int i = lane; i < 256; i += 32) (&memory.from[0][0][0])[i] = static_cast<std::uint16_t>(i);
  sync_warp();
  Half2 plain[4], transposed[4], two[2];
  load_matrix<4, false>(plain, memory.from[lane / 8][lane % 8]);
  load_matrix<4, true>(transposed, memory.from[lane / 8][lane % 8]);
  load_matrix<2, false>(two, memory.from[2 + lane / 8 % 2][lane % 8]);
  store_matrix<4, true>(memory.to[lane / 8][lane % 8], plain);
  store_matrix<4, false>(memory.to_transposed[lane / 8][lane % 8], transposed);
  sync_warp();
  bool same = two[0] == plain[2] && two[1] == plain[3] && transpose_matrix(plain[1]) == transposed[1];
  same = same && plain[1] == static_cast<Half2>(64 + 2 * lane + (65 + 2 * lane) * 65536);
  for (int i = lane; i < 256; i += 32) {
    out[i] = (&memory.to[0][0][0])[i];
    out[256 + i] = (&memory.to_transposed[0][0][0])[i];
  }
  out[512 + lane] = same;
}

std::string test_matrices() {
  std::vector<std::uint16_t> out(512 + 32);
  if (Status s = run("matrices", matrices, 32, sizeof(Matrices), out.data()); !s) return s.message;
  for (int i = 0; i < 256; ++i) {
    const int swapped = i / 64 * 64 + i % 8 * 8 + i / 8 % 8;
    if (out[i] != swapped || out[256 + i] != swapped) return "element " + std::to_string(i);
  }
  for (int lane = 0; lane < 32; ++lane) {
    if (!out[512 + lane]) return "lane " + std::to_string(lane);
  }
  return "";
}

// ---- right: a ring that the hardware fills --------------------------------------------------------------------------

constexpr int kStages = 3, kBoxRows = 4, kBoxColumns = 24;

struct TensorRing {
  alignas(128) float box[kStages][128];
  static_assert(kBoxRows * kBoxColumns <= 128);
  Mbarrier full[kStages], empty[kStages];
};

// Thread 0 of warp 0 fetches boxes of 4 x 24 that overlap the border; warps 1 ... 4 sum each box by one row a warp.
__global__ void tensor_ring(const __grid_constant__ TensorMap map, int boxes, float* out) {
  auto& ring = shared<TensorRing>();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(ring.full[i], 1);
      mbarrier_init(ring.empty[i], 4);
    }
    fence_mbarrier_init();
  }
  sync_block();
  if (warp == 0) {
    if (lane != 0) return;
    for (int i = 0; i < boxes; ++i) {
      const int stage = i % kStages, round = i / kStages;
      mbarrier_wait(ring.empty[stage], (round & 1) ^ 1);
      mbarrier_arrive_expect(ring.full[stage], kBoxRows * kBoxColumns * sizeof(float));
      copy_box(ring.box[stage], map, i / 4, i % 4 * kBoxRows - 2, -8, ring.full[stage]);
    }
    return;
  }
  for (int i = 0; i < boxes; ++i) {
    const int stage = i % kStages, round = i / kStages;
    mbarrier_wait(ring.full[stage], round & 1);
    const float v = lane < kBoxColumns ? ring.box[stage][(warp - 1) * kBoxColumns + lane] : 0;
    sync_warp();
    if (lane == 0) mbarrier_arrive(ring.empty[stage]);
    if (lane < kBoxColumns) out[(i * kBoxRows + warp - 1) * kBoxColumns + lane] = v;
  }
}

std::string test_tensor_ring() {
  constexpr int kPlanes = 5, kRows = 13, kColumns = 12, kBoxes = 4 * kPlanes;
  const Floats in(kPlanes * kRows * kColumns), out(kBoxes * kBoxRows * kBoxColumns);
  TensorMap map;
  if (Status s = make_tensor_map(map, in, kPlanes, kRows, kColumns, kColumns, kBoxRows, kBoxColumns); !s)
    return s.message;
  if (Status s = run("tensor_ring", tensor_ring, 160, sizeof(TensorRing), map, kBoxes, static_cast<float*>(out)); !s) {
    return s.message;
  }
  for (int i = 0; i < kBoxes * kBoxRows * kBoxColumns; ++i) {
    const int box = i / (kBoxRows * kBoxColumns), plane = box / 4;
    const int row = box % 4 * kBoxRows - 2 + i / kBoxColumns % kBoxRows, column = i % kBoxColumns - 8;
    const bool inside = row >= 0 && row < kRows && column >= 0 && column < kColumns;
    const float expected = inside ? in[(plane * kRows + row) * kColumns + column] : 0;
    if (out[i] != expected) return "element " + std::to_string(i) + " of box " + std::to_string(box);
  }
  return "";
}

// ---- broken ---------------------------------------------------------------------------------------------------------

struct Stage {
  alignas(128) float value[64];
  Mbarrier full, empty;
};

__device__ void prepare(Stage& stage, unsigned full, unsigned empty) {
  if (threadIdx.x == 0) {
    mbarrier_init(stage.full, full);
    mbarrier_init(stage.empty, empty);
    fence_mbarrier_init();
  }
  sync_block();
}

__global__ void nobody_arrives(float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 2, 1);
  if (threadIdx.x == 0) mbarrier_arrive(stage.full);
  mbarrier_wait(stage.full, 0);
  out[threadIdx.x] = 1;
}

__global__ void too_many_bytes_announced(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 512);
    copy_bulk(stage.value, in, 256, stage.full);
  }
  mbarrier_wait(stage.full, 0);
  out[threadIdx.x] = stage.value[threadIdx.x];
}

__global__ void too_few_bytes_announced(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 128);
    copy_bulk(stage.value, in, 256, stage.full);
  }
  mbarrier_wait(stage.full, 0);
  out[threadIdx.x] = stage.value[threadIdx.x];
}

__global__ void too_many_arrivals(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) mbarrier_arrive_expect(stage.full, 256);
  sync_block();
  if (threadIdx.x == 1) mbarrier_arrive(stage.full);
  sync_block();
  if (threadIdx.x == 0) copy_bulk(stage.value, in, 256, stage.full);
  mbarrier_wait(stage.full, 0);
  out[threadIdx.x] = 1;
}

__global__ void unbalanced_at_end(float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 2);
  if (threadIdx.x == 0) mbarrier_arrive(stage.empty);
  out[threadIdx.x] = 1;
}

__global__ void hardware_copy_unfinished(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 256);
    copy_bulk(stage.value, in, 256, stage.full);
  }
  out[threadIdx.x] = 1;
}

__global__ void uninitialised_mbarrier(float* out) {
  auto& stage = shared<Stage>();
  mbarrier_arrive(stage.full);
  out[threadIdx.x] = 1;
}

__global__ void overwritten_mbarrier(float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) stage.full.state = 0;
  sync_block();
  if (threadIdx.x == 0) mbarrier_arrive(stage.full);
  out[threadIdx.x] = 1;
}

__global__ void refilled_too_early(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  for (int i = 0; i < 3; ++i) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(stage.full, 256);
      copy_bulk(stage.value, in, 256, stage.full);
    }
    mbarrier_wait(stage.full, i & 1);
    out[threadIdx.x] = stage.value[threadIdx.x];
  }  // nobody waits here until all have read
}

__global__ void copy_box_misaligned(const __grid_constant__ TensorMap map) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 64);
    copy_box(stage.value + 4, map, 0, 0, 0, stage.full);
  }
  mbarrier_wait(stage.full, 0);
}

__global__ void copy_box_from_between(const __grid_constant__ TensorMap map) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 64);
    copy_box(stage.value, map, 0, 0, -1, stage.full);
  }
  mbarrier_wait(stage.full, 0);
}

/// The kernel with the map of one plane of 4 x 16 in boxes of 4 x 4.
template <typename Kernel>
Status run_with_box(const char* name, Kernel* kernel) {
  const Floats in(64);
  TensorMap map;
  if (Status s = make_tensor_map(map, in, 1, 4, 16, 16, 4, 4); !s) return s;
  return run(name, kernel, 32, sizeof(Stage), map);
}

__global__ void load_matrix_misaligned(float* out) {
  auto& stage = shared<Stage>();
  Half2 r[1];
  stage.value[threadIdx.x] = stage.value[threadIdx.x + 32] = 0;
  sync_warp();
  load_matrix<1, false>(r, reinterpret_cast<char*>(stage.value) + 8 * threadIdx.x);
  out[threadIdx.x] = low_half(r[0]);
}

__global__ void load_matrix_race(float* out) {
  auto& stage = shared<Stage>();
  Half2 r[1];
  stage.value[threadIdx.x] = 0;
  load_matrix<1, false>(r, stage.value + 4 * (threadIdx.x % 8));
  out[threadIdx.x] = low_half(r[0]);
}

__global__ void read_before_wait(const float* in, float* out) {
  auto& stage = shared<Stage>();
  prepare(stage, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(stage.full, 256);
    copy_bulk(stage.value, in, 256, stage.full);
    out[0] = stage.value[0];
  }
  mbarrier_wait(stage.full, 0);
}

template <auto kKernel>
Status with_output(const char* name, int threads) {
  const Floats out(threads);
  return run(name, kKernel, threads, sizeof(Stage), static_cast<float*>(out));
}

template <auto kKernel>
Status with_copy(const char* name, int threads) {
  const Floats in(64), out(64);
  return run(name, kKernel, threads, sizeof(Stage), static_cast<const float*>(in), static_cast<float*>(out));
}

}  // namespace
}  // namespace ssim::SSIM_CUDA_NAMESPACE

namespace ssim::verify {

using namespace ssim::SSIM_CUDA_NAMESPACE;

#define SSIM_WITH_OUTPUT(kernel, threads) [] { return with_output<kernel>(#kernel, threads); }
#define SSIM_WITH_COPY(kernel, threads) [] { return with_copy<kernel>(#kernel, threads); }

const std::vector<BrokenKernel>& broken_tensor_kernels() {
  static const std::vector<BrokenKernel> kernels = {
      {"nobody_arrives", "waits for an arrival that never comes",
       "deadlock: 64 of 64 threads wait in mbarrier_wait .*mbarrier at byte 256, phase 0: 1 of 2 arrivals",
       SSIM_WITH_OUTPUT(nobody_arrives, 64)},
      {"too_many_bytes_announced", "announces more bytes than its copies bring",
       "deadlock: .*1 of 1 arrivals, 256 of 512 bytes", SSIM_WITH_COPY(too_many_bytes_announced, 64)},
      {"too_few_bytes_announced", "announces fewer bytes than its copies bring",
       "copies bring more than was announced: mbarrier at byte 256, phase 0: 1 of 1 arrivals, 256 of 128 bytes",
       SSIM_WITH_COPY(too_few_bytes_announced, 64)},
      {"too_many_arrivals", "one arrival more than the barrier counts",
       "more arrivals than the barrier counts: mbarrier at byte 256", SSIM_WITH_COPY(too_many_arrivals, 32)},
      {"unbalanced_at_end", "ends in the middle of a phase",
       "the block ends with an unbalanced barrier: mbarrier at byte 264, phase 0: 1 of 2 arrivals",
       SSIM_WITH_OUTPUT(unbalanced_at_end, 32)},
      {"hardware_copy_unfinished", "ends while a copy is on its way",
       "the block ends with an unbalanced barrier: .*256 of 256 bytes", SSIM_WITH_COPY(hardware_copy_unfinished, 32)},
      {"uninitialised_mbarrier", "arrives at a barrier that nobody initialised",
       "byte 256 of shared memory is no initialised mbarrier", SSIM_WITH_OUTPUT(uninitialised_mbarrier, 32)},
      {"overwritten_mbarrier", "writes over a barrier", "the mbarrier at byte 256 was overwritten",
       SSIM_WITH_OUTPUT(overwritten_mbarrier, 32)},
      {"refilled_too_early", "fills a stage again that others still read or have yet to wait for",
       "race in shared memory: |deadlock: .* wait in mbarrier_wait", SSIM_WITH_COPY(refilled_too_early, 64)},
      {"copy_box_misaligned", "a box goes to an address that is only 16-byte aligned",
       "copy_box: destination 0x[0-9a-f]+ is not aligned to 128 bytes",
       [] { return run_with_box("copy_box_misaligned", copy_box_misaligned); }},
      {"copy_box_from_between", "a box begins between two multiples of 16 bytes: an illegal instruction on a card",
       "copy_box: column -1 is not a multiple of 16 bytes",
       [] { return run_with_box("copy_box_from_between", copy_box_from_between); }},
      {"load_matrix_misaligned", "rows of a matrix at addresses that are only 8-byte aligned",
       "load_matrix: row 0x[0-9a-f]+ is not aligned to 16 bytes", SSIM_WITH_OUTPUT(load_matrix_misaligned, 32)},
      {"load_matrix_race", "loads a matrix that other lanes have just written, no sync_warp between",
       "race in shared memory: ", SSIM_WITH_OUTPUT(load_matrix_race, 32)},
  };
  return kernels;
}

const std::vector<VisibleMistake>& visible_tensor_mistakes() {
  static const std::vector<VisibleMistake> mistakes = {
      {"read_before_wait", "reads what the hardware brings before it has waited: NaN",
       [] {
         const Floats in(64), out(64);
         const Status s = run("read_before_wait", read_before_wait, 1, sizeof(Stage), static_cast<const float*>(in),
                              static_cast<float*>(out));
         return s && std::isnan(out[0]);
       }},
  };
  return mistakes;
}

const std::vector<RightKernel>& right_tensor_kernels() {
  static const std::vector<RightKernel> kernels = {
      {"halves", test_halves},     {"products", test_products},       {"truncation", test_truncation},
      {"matrices", test_matrices}, {"tensor_ring", test_tensor_ring}, {"votes", test_votes},
      {"plans", test_plans},
  };
  return kernels;
}

}  // namespace ssim::verify
