// SPDX-License-Identifier: MIT
// The primitives of primitives.cuh on the host. primitives_device.cuh says what each does; here is how strictly.
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../defect.hpp"
#include "grid.hpp"

#define SSIM_CUDA_NAMESPACE cuda_emulated

namespace ssim::cuda_emulated {

inline constexpr Device kDevice = Device::cuda_emulated;

/// Threads that a multiprocessor holds: for __launch_bounds__, which means nothing here.
inline constexpr int kResidentThreads = 2048;

enum class Start { behind, early };

/// Runs the grid to its end before it returns; the stream is unused.
template <Start kStart = Start::behind, typename... Parameters, typename... Given>
Status launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, void*,
              Given&&... given) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<std::remove_cv_t<Parameters>...> arguments;
  };
  const Call call{kernel, {static_cast<Parameters>(given)...}};
  const auto body = [](const void* pointer) {
    const Call& c = *static_cast<const Call*>(pointer);
    std::apply(c.kernel, c.arguments);
  };
  return emulation::run(
      {name, grid, block, shared_bytes, body, reinterpret_cast<const void*>(kernel), &call, kStart == Start::early});
}

inline Status fill_zero(void* pointer, std::size_t bytes, void*) {
  std::memset(pointer, 0, bytes);
  return {};
}

/// Few, so that persistent kernels have several rounds on small images. SSIM_EMULATION_MULTIPROCESSORS overrides.
inline int multiprocessors() {
  const char* given = std::getenv("SSIM_EMULATION_MULTIPROCESSORS");
  const int count = given ? std::atoi(given) : 0;
  return count > 0 ? count : 3;
}

/// Filled with NaN when the block starts.
template <typename T>
T& shared() {
  return *static_cast<T*>(emulation::shared_memory(sizeof(T)));
}

/// In one place of the code for all threads: a card may go on where it is not, but compute-sanitizer objects.
inline void sync_block(std::source_location at = std::source_location::current()) {
  emulation::sync_block({at.file_name(), at.line(), 0});
}

enum class Role { first, second };
template <int kThreads, Role>
void sync_roles() {
  emulation::sync_block({nullptr, 0, kThreads});
}

inline void let_next_begin() {}
inline void wait_for_kernels_before() { emulation::wait_for_kernels_before(); }

inline void sync_warp() { emulation::sync_warp(); }

namespace emulation {

// All lanes' values change hands; source(own lane, argument) names the lane that a value comes from, own lane if
// outside.
template <typename Source, typename T>
T exchange(const char* what, T value, int argument) {
  static_assert(std::is_trivially_copyable_v<T>);
  struct Slot {
    T value;
    int argument;
    T result;
  } slot{value, argument, value};
  const auto complete = [](void* const* slots) {
    for (int lane = 0; lane < kLanes; ++lane) {
      auto* own = static_cast<Slot*>(slots[lane]);
      if (!own) continue;
      const int from = Source::of(lane, own->argument);
      const auto* other = static_cast<const Slot*>(slots[from < 0 || from >= kLanes ? lane : from]);
      if (other) {
        own->result = other->value;
      } else {
        std::memset(static_cast<void*>(&own->result), 0xff, sizeof(T));  // a lane that the warp does not have
      }
    }
  };
  warp_collective(what, complete, &slot);
  return slot.result;
}

struct Down {
  static int of(int lane, int delta) { return lane + delta; }
};
struct Up {
  static int of(int lane, int delta) { return lane - delta; }
};
struct Xor {
  static int of(int lane, int mask) { return lane ^ mask; }
};
struct Index {
  static int of(int, int lane) { return lane & (kLanes - 1); }
};

}  // namespace emulation

template <typename T>
T shuffle_down(T value, unsigned delta) {
  return emulation::exchange<emulation::Down>("shuffle_down", value, static_cast<int>(delta));
}
template <typename T>
T shuffle_up(T value, unsigned delta) {
  return emulation::exchange<emulation::Up>("shuffle_up", value, static_cast<int>(delta));
}
template <typename T>
T shuffle_xor(T value, int mask) {
  return emulation::exchange<emulation::Xor>("shuffle_xor", value, mask);
}
template <typename T>
T shuffle(T value, int lane) {
  return emulation::exchange<emulation::Index>("shuffle", value, lane);
}

/// Bit i is lane i's predicate.
inline unsigned ballot(bool predicate) {
  struct Slot {
    unsigned own, result;
  } slot{predicate, 0};
  emulation::warp_collective(
      "ballot",
      [](void* const* slots) {
        unsigned bits = 0;
        for (int lane = 0; lane < emulation::kLanes; ++lane) {
          if (slots[lane]) bits |= static_cast<Slot*>(slots[lane])->own << lane;
        }
        for (int lane = 0; lane < emulation::kLanes; ++lane) {
          if (slots[lane]) static_cast<Slot*>(slots[lane])->result = bits;
        }
      },
      &slot);
  return slot.result;
}

inline unsigned long long atomic_add(unsigned long long* word, unsigned long long value) {
  return emulation::atomic_add(word, value);
}
inline unsigned long long atomic_or(unsigned long long* word, unsigned long long bits) {
  return emulation::atomic_or(word, bits);
}
inline long long round_to_int64(double v) { return __builtin_llrint(v); }

inline float load_readonly(const float* pointer) { return *pointer; }
inline double load_global(const double* pointer) { return emulation::load_global(pointer); }

/// One rounding, on both sides, whatever the compiler's flags.
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

/// Correctly rounded but for its range, where a card is off by up to 1 ulp: 0 for what a float cannot hold as a normal.
inline float reciprocal_fast(float v) {
  constexpr float kSmallest = 0x1p-126f;
  if (__builtin_fabsf(v) < kSmallest) v = __builtin_copysignf(0.0f, v);  // flushes denormals, like rcp.approx.ftz
  const float result = 1.0f / v;
  return __builtin_fabsf(result) < kSmallest ? __builtin_copysignf(0.0f, result) : result;
}

/// NaN stands at the destination until copy_wait, when the copy is made: too early a read, and a copy that is started
/// while another thread still reads the old content, show.
template <int kBytes>
void copy_async(void* to_shared, const void* from_global, bool inside) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulation::copy_async(to_shared, from_global, kBytes, inside);
}
inline void copy_commit() { emulation::copy_commit(); }
template <int kPending>
void copy_wait() {
  emulation::copy_wait(kPending);
}

}  // namespace ssim::cuda_emulated
