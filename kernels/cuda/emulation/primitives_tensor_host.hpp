// SPDX-License-Identifier: MIT
// The primitives of primitives_tensor.cuh on the host. primitives_tensor_device.cuh says what each does.
#pragma once

#include <cstring>

#include "half.hpp"
#include "primitives_host.hpp"
#include "tensor.hpp"

#define __grid_constant__

namespace ssim::cuda_emulated {

/// That of the card which the emulation stands for.
inline int compute_capability() { return 90; }

inline constexpr int kSharedBytesOfMultiprocessor = 228 * 1024;
inline int shared_bytes_of_multiprocessor() { return kSharedBytesOfMultiprocessor; }

inline int current_thread() { return static_cast<int>(threadIdx.x); }

template <typename T>
T uniform(T value) {
  return shuffle(value, 0);
}
inline bool elected() { return threadIdx.x % 32 == 0; }

inline constexpr bool kRegistersMove = true;
template <auto kKernel>
bool registers_move() {
  return true;
}
template <int kRegisters>
void raise_registers() {}
template <int kRegisters>
void lower_registers() {}

inline bool sync_block_or(bool value) { return emulation::sync_block_or(value); }

using Half2 = std::uint32_t;

namespace emulation {

inline std::uint16_t low(Half2 v) { return static_cast<std::uint16_t>(v); }
inline std::uint16_t high(Half2 v) { return static_cast<std::uint16_t>(v >> 16); }
inline Half2 join(std::uint16_t low_bits, std::uint16_t high_bits) {
  return low_bits | static_cast<std::uint32_t>(high_bits) << 16;
}

}  // namespace emulation

inline Half2 pack_half2(float low, float high) {
  return emulation::join(emulation::to_half(low), emulation::to_half(high));
}
inline float low_half(Half2 v) { return static_cast<float>(emulation::from_half(emulation::low(v))); }
inline float high_half(Half2 v) { return static_cast<float>(emulation::from_half(emulation::high(v))); }
inline Half2 fma_half2(Half2 a, Half2 b, Half2 c) {
  using namespace emulation;
  return join(fma_half(low(a), low(b), low(c)), fma_half(high(a), high(b), high(c)));
}
inline Half2 add_half2(Half2 a, Half2 b) { return fma_half2(a, 0x3c003c00u, b); }
inline Half2 mul_half2(Half2 a, Half2 b) {
  // A sum with -0 keeps the sign of a zero.
  return fma_half2(a, b, 0x80008000u);
}
inline Half2 negate_half2(Half2 a) { return a ^ 0x80008000u; }

namespace emulation {

template <int kK>
struct MmaSlot {
  Half2 a[kK / 4], b[kK / 8];
  float c[4], d[4];
};

// Gathers the fragments of all lanes, multiplies, hands the result out. A whole warp, or what is missing is zero.
template <int kK>
void mma(void* const* slots) {
  std::uint16_t a[16 * kK] = {}, b[kK * 8] = {};
  float c[16 * 8] = {}, d[16 * 8];
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!slots[lane]) continue;
    const auto& slot = *static_cast<const MmaSlot<kK>*>(slots[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < kK / 4; ++i) {
      const int row = g + 8 * (i % 2), column = 2 * t + 8 * (i / 2);
      a[row * kK + column] = low(slot.a[i]);
      a[row * kK + column + 1] = high(slot.a[i]);
    }
    for (int i = 0; i < kK / 8; ++i) {
      b[(2 * t + 8 * i) * 8 + g] = low(slot.b[i]);
      b[(2 * t + 8 * i + 1) * 8 + g] = high(slot.b[i]);
    }
    for (int i = 0; i < 4; ++i) c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = slot.c[i];
  }
  multiply_matrices(kK, a, b, c, d);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!slots[lane]) continue;
    auto& slot = *static_cast<MmaSlot<kK>*>(slots[lane]);
    for (int i = 0; i < 4; ++i) slot.d[i] = d[(lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2];
  }
}

template <int kK>
void run_mma(const char* what, float (&d)[4], const Half2 (&a)[kK / 4], const Half2 (&b)[kK / 8], const float (&c)[4]) {
  MmaSlot<kK> slot;
  std::memcpy(slot.a, a, sizeof a);
  std::memcpy(slot.b, b, sizeof b);
  std::memcpy(slot.c, c, sizeof c);
  warp_collective(what, mma<kK>, &slot);
  std::memcpy(d, slot.d, sizeof d);
}

// Rows of kCount 8x8 matrices in shared memory, and the fragments of them that lanes hold.
template <int kCount>
struct MatrixSlot {
  void* row;
  Half2 r[kCount];
};

template <int kCount, bool kTransposed, bool kStore>
void move_matrices(void* const* slots) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!slots[lane]) continue;
    auto& slot = *static_cast<MatrixSlot<kCount>*>(slots[lane]);
    for (int m = 0; m < kCount; ++m) {
      std::uint16_t half[2] = {low(slot.r[m]), high(slot.r[m])};
      for (int i = 0; i < 2; ++i) {
        const int across = 2 * (lane % 4) + i, down = lane / 4;
        const void* owner = slots[8 * m + (kTransposed ? across : down)];
        if (!owner) continue;
        auto* element = static_cast<std::uint16_t*>(static_cast<const MatrixSlot<kCount>*>(owner)->row) +
                        (kTransposed ? down : across);
        if (kStore) {
          *element = half[i];
        } else {
          half[i] = *element;
        }
      }
      if (!kStore) slot.r[m] = join(half[0], half[1]);
    }
  }
}

template <int kCount, bool kTransposed, bool kStore>
void run_matrices(const char* what, void* row, Half2 (&r)[kCount]) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
  MatrixSlot<kCount> slot{row, {}};
  if constexpr (kStore) std::memcpy(slot.r, r, sizeof r);
  if (static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % kLanes < 8 * kCount) {
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0) fail("%s: row %p is not aligned to 16 bytes", what, row);
    check_access(row, 16, kStore);
  }
  warp_collective(what, move_matrices<kCount, kTransposed, kStore>, &slot);
  if constexpr (!kStore) std::memcpy(r, slot.r, sizeof r);
}

}  // namespace emulation

inline void mma_m16n8k16(float (&d)[4], const Half2 (&a)[4], const Half2 (&b)[2], const float (&c)[4]) {
  emulation::run_mma<16>("mma_m16n8k16", d, a, b, c);
}
inline void mma_m16n8k8(float (&d)[4], const Half2 (&a)[2], const Half2 (&b)[1], const float (&c)[4]) {
  emulation::run_mma<8>("mma_m16n8k8", d, a, b, c);
}

template <int kCount, bool kTransposed>
void load_matrix(Half2 (&r)[kCount], const void* row) {
  emulation::run_matrices<kCount, kTransposed, false>("load_matrix", const_cast<void*>(row), r);
}
template <int kCount, bool kTransposed>
void store_matrix(void* row, const Half2 (&r)[kCount]) {
  Half2 copy[kCount];
  std::memcpy(copy, r, sizeof r);
  emulation::run_matrices<kCount, kTransposed, true>("store_matrix", row, copy);
}

inline Half2 transpose_matrix(Half2 r) {
  struct Slot {
    Half2 own, result;
  } slot{r, 0};
  emulation::warp_collective(
      "transpose_matrix",
      [](void* const* slots) {
        using namespace emulation;
        for (int lane = 0; lane < kLanes; ++lane) {
          if (!slots[lane]) continue;
          std::uint16_t half[2];
          for (int i = 0; i < 2; ++i) {
            const int row = 2 * (lane % 4) + i, column = lane / 4;  // of the original
            const auto* from = static_cast<const Slot*>(slots[4 * row + column / 2]);
            half[i] = !from ? 0xffff : column % 2 ? high(from->own) : low(from->own);
          }
          static_cast<Slot*>(slots[lane])->result = join(half[0], half[1]);
        }
      },
      &slot);
  return slot.result;
}

struct alignas(8) Mbarrier {
  std::uint64_t state;
};

inline void mbarrier_init(Mbarrier& barrier, unsigned count) { emulation::mbarrier_init(&barrier, count); }
inline void fence_mbarrier_init() {}
inline void mbarrier_arrive(Mbarrier& barrier) { emulation::mbarrier_arrive(&barrier, 0); }
inline void mbarrier_arrive_expect(Mbarrier& barrier, unsigned bytes) { emulation::mbarrier_arrive(&barrier, bytes); }
inline void mbarrier_wait(Mbarrier& barrier, unsigned parity) { emulation::mbarrier_wait(&barrier, parity); }

struct TensorMap {
  const float* base;
  std::int64_t planes, height, width, pitch;
  int box_height, box_width;
};

template <auto kKernel>
bool can_copy_boxes() {
  return true;
}

inline Status make_tensor_map(TensorMap& result, const float* base, std::int64_t planes, std::int64_t height,
                              std::int64_t width, std::int64_t pitch, int box_height, int box_width) {
  if (reinterpret_cast<std::uintptr_t>(base) % 16 != 0 || pitch % 4 != 0 || box_width % 4 != 0) {
    return Status::error(Status::Code::unsupported,
                         "tensor map: base %p, a pitch of %lld and a box of %d floats must be multiples of 16 bytes",
                         static_cast<const void*>(base), static_cast<long long>(pitch), box_width);
  }
  if (box_height < 1 || box_height > 256 || box_width < 1 || box_width > 256) {
    return Status::error(Status::Code::device_error, "tensor map: a box of %d x %d, allowed are 1 ... 256", box_height,
                         box_width);
  }
  result = {base, planes, height, width, pitch, box_height, box_width};
  return {};
}

inline void prefetch_map(const TensorMap&) {}
inline void copy_box(void* to_shared, const TensorMap& map, int plane, int row, int column, Mbarrier& barrier) {
  emulation::copy_box(
      to_shared,
      {map.base, map.planes, map.height, map.width, map.pitch, map.box_height, map.box_width, plane, row, column},
      &barrier);
}
inline void copy_bulk(void* to_shared, const void* from_global, unsigned bytes, Mbarrier& barrier) {
  emulation::copy_bulk(to_shared, from_global, bytes, &barrier);
}

}  // namespace ssim::cuda_emulated
