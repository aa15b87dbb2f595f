// SPDX-License-Identifier: MIT
// The primitives of primitives.cuh on a card.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>
#include <mutex>

#include "../defect.hpp"
#include "../ssim.hpp"

/// Namespace of the rows in this build: ssim::cuda here, ssim::cuda_emulated in the emulation. A test compiles the rows
/// once more, in another one.
#if !defined(SSIM_CUDA_NAMESPACE)
#define SSIM_CUDA_NAMESPACE cuda
#endif

/// 1: a card does what the emulation does wherever the contract leaves it a choice, so that both can be compared bit by
/// bit; goes with -fmad=false.
#if !defined(SSIM_LIKE_EMULATION)
#define SSIM_LIKE_EMULATION 0
#endif

namespace ssim::SSIM_CUDA_NAMESPACE {

inline constexpr Device kDevice = Device::cuda;

/// Threads that a multiprocessor of the architecture being compiled for can hold: for __launch_bounds__.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ / 10 * 10 == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200)
inline constexpr int kResidentThreads = 1536;
#else
inline constexpr int kResidentThreads = 2048;
#endif

/// Turns an error of the runtime into a status that names the operation.
inline Status to_status(cudaError_t error, const char* operation) {
  if (error == cudaSuccess) return {};
  return Status::error(Status::Code::device_error, "%s: %s (%s)", operation, cudaGetErrorString(error),
                       cudaGetErrorName(error));
}

/// An attribute of the current device; the driver is asked once for each device. `otherwise` where there is none.
template <cudaDeviceAttr kAttribute>
int device_attribute(int otherwise) {
  constexpr int kDevices = 64;
  static std::atomic<int> known[kDevices] = {};  // value + 1; 0 is not known yet
  int device = 0, value = otherwise;
  if (cudaGetDevice(&device) != cudaSuccess) return otherwise;
  if (device < kDevices) {
    if (const int found = known[device].load(std::memory_order_relaxed)) return found - 1;
  }
  if (cudaDeviceGetAttribute(&value, kAttribute, device) != cudaSuccess) return otherwise;
  if (device < kDevices) known[device].store(value + 1, std::memory_order_relaxed);
  return value;
}

/// Lets a kernel have so much dynamic shared memory on the current device, or more if it was allowed that before. Each
/// thread remembers the last kernels that it asked for: the driver takes longer to answer than a launch can spare.
inline cudaError_t allow_shared_memory(const void* kernel, std::size_t bytes) {
  struct Known {
    const void* kernel;
    int device;
    std::size_t bytes;
  };
  constexpr std::size_t kKnown = 16;
  thread_local Known known[kKnown] = {};
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) return error;
  Known& entry = known[(reinterpret_cast<std::uintptr_t>(kernel) / 16 + static_cast<unsigned>(device)) % kKnown];
  if (entry.kernel == kernel && entry.device == device && entry.bytes >= bytes) return cudaSuccess;
  static std::mutex mutex;  // what another thread was promised must not shrink
  const std::lock_guard lock(mutex);
  cudaFuncAttributes attributes{};
  if (const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel); error != cudaSuccess) return error;
  if (static_cast<std::size_t>(attributes.maxDynamicSharedSizeBytes) < bytes) {
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (error != cudaSuccess) return error;
  }
  entry = {kernel, device, bytes};
  return cudaSuccess;
}

/// When a kernel starts: behind the one before it in the stream, or `early`, while that still runs, where driver and
/// device can (programmatic dependent launch; in graphs since CUDA 12.3). One that is launched early has code for sm_90
/// or newer, and calls wait_for_kernels_before() before it reads or writes memory that others know of.
enum class Start { behind, early };

inline bool starts_early() {
  static const bool possible = [] {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess && version >= 12030;
  }();
  return possible && device_attribute<cudaDevAttrComputeCapabilityMajor>(0) >= 9;
}

/// Launches kernel<<<grid, block, shared_bytes, stream>>>(arguments...); no synchronisation. Arguments are converted to
/// the kernel's parameter types. More than 48 KB of shared memory is requested from the driver here.
template <Start kStart = Start::behind, typename... Parameters, typename... Given>
#if SSIM_WITH_DEFECTS
static  // every file has its own defect_on_card
#endif
    Status
    launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
           void* stream, Given&&... given) {
#if SSIM_WITH_DEFECTS
  const int defect = static_cast<int>(defect_now());
  if (cudaError_t error = cudaMemcpyToSymbol(defect_on_card, &defect, sizeof defect); error != cudaSuccess) {
    return to_status(error, name);
  }
#endif
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error = allow_shared_memory(reinterpret_cast<const void*>(kernel), shared_bytes);
    if (error != cudaSuccess) return to_status(error, name);
  }
  return [&](Parameters... converted) {
    void* pointers[] = {static_cast<void*>(&converted)..., nullptr};
    if (kStart == Start::early && starts_early()) {
      cudaLaunchAttribute early{};
      early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      early.val.programmaticStreamSerializationAllowed = 1;
      cudaLaunchConfig_t config{};
      config.gridDim = grid;
      config.blockDim = block;
      config.dynamicSmemBytes = shared_bytes;
      config.stream = static_cast<cudaStream_t>(stream);
      config.attrs = &early;
      config.numAttrs = 1;
      return to_status(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), pointers), name);
    }
    return to_status(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes,
                                      static_cast<cudaStream_t>(stream)),
                     name);
  }(static_cast<Parameters>(given)...);
}

/// memset in stream order.
inline Status fill_zero(void* pointer, std::size_t bytes, void* stream) {
  return to_status(cudaMemsetAsync(pointer, 0, bytes, static_cast<cudaStream_t>(stream)), "cudaMemsetAsync");
}

/// Multiprocessors of the current device.
inline int multiprocessors() {
  if (SSIM_LIKE_EMULATION) return 3;
  return device_attribute<cudaDevAttrMultiProcessorCount>(1);
}

/// The block's dynamic shared memory as a T. Its content is undefined when the block starts.
template <typename T>
__device__ __forceinline__ T& shared() {
  extern __shared__ __align__(128) unsigned char ssim_shared_memory[];
  return *reinterpret_cast<T*>(ssim_shared_memory);
}

/// The next kernel in the stream may begin, if it was launched early and all threads of this grid have come here or
/// ended: what it does before it waits runs beside this kernel. Called behind a block's work, because blocks that wait
/// take room.
__device__ __forceinline__ void let_next_begin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// Until the kernels before in the stream have ended, and what they wrote can be read.
__device__ __forceinline__ void wait_for_kernels_before() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// All threads of the block must reach it.
__device__ __forceinline__ void sync_block() { __syncthreads(); }

/// Of two kinds of warps that divide a block's work.
enum class Role { first, second };

/// sync_block for blocks of kThreads whose two kinds of warps reach it in different places of the code, for which
/// __syncthreads is not made. The second kind waits until all have come, the first until the second has seen it.
template <int kThreads, Role kRole>
__device__ __forceinline__ void sync_roles() {
  if constexpr (kRole == Role::first) {
    asm volatile("bar.arrive 1, %0;" ::"n"(kThreads) : "memory");
    asm volatile("bar.sync 2, %0;" ::"n"(kThreads) : "memory");
  } else {
    asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
    asm volatile("bar.arrive 2, %0;" ::"n"(kThreads) : "memory");
  }
}

/// All lanes of the warp must reach it.
__device__ __forceinline__ void sync_warp() { __syncwarp(); }

/// Value of the lane `delta` above; own value beyond the last lane. Whole warp.
template <typename T>
__device__ __forceinline__ T shuffle_down(T value, unsigned delta) {
  return __shfl_down_sync(0xffffffffu, value, delta);
}
template <typename T>
__device__ __forceinline__ T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}

/// Value of the lane `delta` below; own value below the first lane.
template <typename T>
__device__ __forceinline__ T shuffle_up(T value, unsigned delta) {
  return __shfl_up_sync(0xffffffffu, value, delta);
}
template <typename T>
__device__ __forceinline__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
/// Bit i is lane i's predicate.
__device__ __forceinline__ unsigned ballot(bool predicate) { return __ballot_sync(0xffffffffu, predicate); }

/// a * b + c with one rounding, whatever the compiler's flags.
__device__ __forceinline__ float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ double fma(double a, double b, double c) { return __fma_rn(a, b, c); }

/// 1 / v to within 1 ulp for normal v, in one instruction; 0 for infinite and NaN for NaN v.
__device__ __forceinline__ float reciprocal_fast(float v) {
#if SSIM_LIKE_EMULATION
  constexpr float kSmallest = 0x1p-126f;
  if (fabsf(v) < kSmallest) v = copysignf(0.0f, v);
  const float result = __fdiv_rn(1.0f, v);
  return fabsf(result) < kSmallest ? copysignf(0.0f, result) : result;
#else
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(v));
  return result;
#endif
}

/// *word += value, at once for all threads of the device; what it was before.
__device__ __forceinline__ unsigned long long atomic_add(unsigned long long* word, unsigned long long value) {
  return atomicAdd(word, value);
}
/// *word |= bits, the same.
__device__ __forceinline__ unsigned long long atomic_or(unsigned long long* word, unsigned long long bits) {
  return atomicOr(word, bits);
}
/// To the nearest, of two the even one. |v| < 2^63.
__device__ __forceinline__ long long round_to_int64(double v) { return __double2ll_rn(v); }

/// Reads data that no thread of this launch writes.
__device__ __forceinline__ float load_readonly(const float* pointer) { return __ldg(pointer); }
/// Reads data that other blocks of this launch have written (past the L1 cache).
__device__ __forceinline__ double load_global(const double* pointer) { return __ldcg(pointer); }

/// Asynchronous copy of 4 (8, 16) bytes from global to shared memory; writes zeros and reads nothing unless `inside`.
/// Both addresses are aligned to the size. Visible to the thread after copy_wait, to the block after a barrier behind
/// it.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* to_shared, const void* from_global, bool inside) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(to_shared));
  const int bytes = inside ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from_global), "r"(bytes) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from_global), "n"(kBytes), "r"(bytes)
                 : "memory");
  }
}
/// Closes a group of this thread's copies.
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most kPending of this thread's groups are unfinished.
template <int kPending>
__device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
