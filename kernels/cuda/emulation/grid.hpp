// SPDX-License-Identifier: MIT
// Runs a grid of emulated CUDA threads on the host: what primitives_host.hpp stands on.
//
// Every CUDA thread is a fiber. A lane runs until it waits in a collective of its warp, at a barrier of its block, or
// returns; then the next lane of the warp runs, and when none can, another warp of the block that a random number
// chooses. Blocks run one after the other in random order, on as many host threads as the machine has cores.
// The random numbers come from one seed: SSIM_EMULATION_SEED, or a fresh one that is printed with the first launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "../../ssim.hpp"
#include "vector_types.hpp"

#define SSIM_EMULATION_TLS __attribute__((tls_model("initial-exec")))

namespace ssim::cuda_emulated {

extern thread_local constinit SSIM_EMULATION_TLS uint3 threadIdx;
extern thread_local constinit SSIM_EMULATION_TLS uint3 blockIdx;
extern thread_local constinit SSIM_EMULATION_TLS dim3 blockDim;
extern thread_local constinit SSIM_EMULATION_TLS dim3 gridDim;

namespace emulation {

inline constexpr int kLanes = 32;
/// What a block may ask for on cards of compute capability 9 and 10.
inline constexpr std::size_t kMaxSharedBytes = 227 * 1024;

struct Grid {
  const char* name;  // of the kernel, for messages
  dim3 grid, block;
  std::size_t shared_bytes;
  void (*body)(const void* arguments);  // one thread of the kernel
  const void* kernel;                   // its address, which tells instantiations of one name apart
  const void* arguments;
  bool early = false;  // threads must have waited for the kernels before when they touch registered memory or return
};

/// Runs the whole grid before it returns. An error of the kernel becomes a status that names kernel, block and thread.
Status run(const Grid& grid);

/// Every kernel that was launched since the process began, with its address.
std::set<std::pair<std::string, const void*>> launched();

/// The seed of this process.
std::uint64_t seed();

// --- called by running threads -------------------------------------------------------------------------------------

/// The block's shared memory; `bytes` is what the caller is about to use of it.
void* shared_memory(std::size_t bytes);

/// Where threads of a block meet: `file` is nullptr where it may be in different places of the code, and `threads` is
/// then how many are said to come.
struct Meeting {
  const char* file = nullptr;
  unsigned line = 0, threads = 0;
};

/// Waits for all threads of the block, which must come with the same meeting.
void sync_block(const Meeting& meeting);

/// Waits until every lane of the warp has come with the same `complete`, which the last one calls with the slots of all
/// (nullptr where the warp has fewer than 32 lanes).
using Complete = void (*)(void* const* slots);
void warp_collective(const char* what, Complete complete, void* slot);

/// The same for a barrier of the warp, which alone of the collectives orders the lanes' accesses to memory.
void sync_warp();

void copy_async(void* to_shared, const void* from_global, int bytes, bool inside);
void copy_commit();
void copy_wait(int pending);

/// There are none here; that a kernel launched early asks is noted.
void wait_for_kernels_before();

/// Lets other threads of the block run when the caller reads the same value again and again.
double load_global(const double* pointer);

unsigned long long atomic_add(unsigned long long* word, unsigned long long value);
unsigned long long atomic_or(unsigned long long* word, unsigned long long bits);

/// Ends the launch with this message, behind which kernel, block and thread are named. For threads of a grid alone.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);

}  // namespace emulation
}  // namespace ssim::cuda_emulated
