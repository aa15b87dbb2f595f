// SPDX-License-Identifier: MIT
// The primitives of primitives_tensor.cuh on a card. mma: compute capability 8.0; stmatrix and TMA: 9.0. On an older
// one they trap, so rows ask compute_capability() in supports().
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>

#include "primitives_device.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE {

/// 10 * major + minor of the current device.
inline int compute_capability() {
  return 10 * device_attribute<cudaDevAttrComputeCapabilityMajor>(0) +
         device_attribute<cudaDevAttrComputeCapabilityMinor>(0);
}

/// Shared memory of a multiprocessor of the architecture that is being compiled for, or a little less (CUDA programming
/// guide, technical specifications per compute capability); and of the current device.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200)
inline constexpr int kSharedBytesOfMultiprocessor = 100 * 1024;
#else
inline constexpr int kSharedBytesOfMultiprocessor = 164 * 1024;
#endif
inline int shared_bytes_of_multiprocessor() { return device_attribute<cudaDevAttrMaxSharedMemoryPerMultiprocessor>(0); }

/// sync_block, and whether any thread of the block came with true.
__device__ __forceinline__ bool sync_block_or(bool value) { return __syncthreads_or(value); }

// ---- packed half precision ------------------------------------------------------------------------------------------

/// Two fp16 values in one register.
using Half2 = std::uint32_t;

/// Rounds to nearest even; overflow gives infinity.
__device__ __forceinline__ Half2 pack_half2(float low, float high) {
  Half2 result;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
__device__ __forceinline__ float low_half(Half2 v) {
  float result;
  asm("{.reg .f16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(result) : "r"(v));
  return result;
}
__device__ __forceinline__ float high_half(Half2 v) {
  float result;
  asm("{.reg .f16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(result) : "r"(v));
  return result;
}
/// a * b + c, one rounding each.
__device__ __forceinline__ Half2 fma_half2(Half2 a, Half2 b, Half2 c) {
  Half2 result;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
  return result;
}
__device__ __forceinline__ Half2 add_half2(Half2 a, Half2 b) {
  Half2 result;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}
__device__ __forceinline__ Half2 mul_half2(Half2 a, Half2 b) {
  Half2 result;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}
__device__ __forceinline__ Half2 negate_half2(Half2 a) {
  Half2 result;
  asm("neg.f16x2 %0, %1;" : "=r"(result) : "r"(a));  // becomes a sign of the instruction that uses it
  return result;
}

// ---- matrix products; whole warp ------------------------------------------------------------------------------------

/// d = a * b + c with a 16x16, b 16x8, fp16 in, fp32 accumulation that truncates.
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const Half2 (&a)[4], const Half2 (&b)[2],
                                             const float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%10, %11, %12, %13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
/// The same with a 16x8, b 8x8.
__device__ __forceinline__ void mma_m16n8k8(float (&d)[4], const Half2 (&a)[2], const Half2 (&b)[1],
                                            const float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %10};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

/// kCount (1, 2, 4) matrices of 8x8 fp16 from shared memory. Lane 8 m + r brings the address of row r of matrix m,
/// 16-byte aligned; r[m] becomes row lane / 4, columns 2 (lane % 4) and + 1, of matrix m or of its transpose.
template <int kCount, bool kTransposed>
__device__ __forceinline__ void load_matrix(Half2 (&r)[kCount], const void* row) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
#define SSIM_LDMATRIX(transposed)                                                                 \
  if constexpr (kCount == 1) {                                                                    \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" transposed ".shared.b16 {%0}, [%1];"             \
                 : "=r"(r[0])                                                                     \
                 : "r"(at)                                                                        \
                 : "memory");                                                                     \
  } else if constexpr (kCount == 2) {                                                             \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" transposed ".shared.b16 {%0, %1}, [%2];"         \
                 : "=r"(r[0]), "=r"(r[1])                                                         \
                 : "r"(at)                                                                        \
                 : "memory");                                                                     \
  } else {                                                                                        \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" transposed ".shared.b16 {%0, %1, %2, %3}, [%4];" \
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])                                 \
                 : "r"(at)                                                                        \
                 : "memory");                                                                     \
  }
  if constexpr (kTransposed) {
    SSIM_LDMATRIX(".trans")
  } else {
    SSIM_LDMATRIX("")
  }
#undef SSIM_LDMATRIX
}

/// The reverse of load_matrix.
template <int kCount, bool kTransposed>
__device__ __forceinline__ void store_matrix(void* row, const Half2 (&r)[kCount]) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
#if __CUDA_ARCH__ >= 900
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
#define SSIM_STMATRIX(transposed)                                                                               \
  if constexpr (kCount == 1) {                                                                                  \
    asm volatile("stmatrix.sync.aligned.m8n8.x1" transposed ".shared.b16 [%0], {%1};" ::"r"(at), "r"(r[0])      \
                 : "memory");                                                                                   \
  } else if constexpr (kCount == 2) {                                                                           \
    asm volatile("stmatrix.sync.aligned.m8n8.x2" transposed ".shared.b16 [%0], {%1, %2};" ::"r"(at), "r"(r[0]), \
                 "r"(r[1])                                                                                      \
                 : "memory");                                                                                   \
  } else {                                                                                                      \
    asm volatile("stmatrix.sync.aligned.m8n8.x4" transposed ".shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(at),    \
                 "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])                                                     \
                 : "memory");                                                                                   \
  }
  if constexpr (kTransposed) {
    SSIM_STMATRIX(".trans")
  } else {
    SSIM_STMATRIX("")
  }
#undef SSIM_STMATRIX
#else
  __trap();
#endif
}

/// The transpose of an 8x8 matrix of fp16 that the warp holds as load_matrix gives it.
__device__ __forceinline__ Half2 transpose_matrix(Half2 r) {
  Half2 result;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(r));
  return result;
}

// ---- registers ------------------------------------------------------------------------------------------------------

/// threadIdx.x, read anew at each call rather than kept in a register.
__device__ __forceinline__ int current_thread() {
  int result;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(result));
  return result;
}

/// Four consecutive warps, from a multiple of four on, take more registers a thread than the kernel was launched with,
/// or give some back; those that take wait until enough have been given. Code for sm_90a alone can: kernels that need
/// it are empty elsewhere, and the host asks registers_move().
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
inline constexpr bool kRegistersMove = true;
#else
inline constexpr bool kRegistersMove = false;
#endif
template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
__device__ __forceinline__ void lower_registers() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

// ---- barriers in shared memory --------------------------------------------------------------------------------------

/// Completes a phase when `count` arrivals and all announced bytes have come; then the next phase begins.
struct alignas(8) Mbarrier {
  std::uint64_t state;
};

/// The value of lane 0, of which the compiler then knows that it is the same for all of the warp: what follows from it
/// goes to uniform registers, and a copy asked for by it to one instruction, not a loop over lanes. Whole warp.
template <typename T>
__device__ __forceinline__ T uniform(T value) {
  return __shfl_sync(0xffffffffu, value, 0);
}

/// Whether this lane is the one of its warp that does what one thread must. Whole warp, converged.
__device__ __forceinline__ bool elected() {
#if __CUDA_ARCH__ >= 900
  unsigned own;
  asm volatile("{.reg .pred own; elect.sync _|own, 0xffffffff; selp.u32 %0, 1, 0, own;}" : "=r"(own));
  return own;
#else
  return threadIdx.x % 32 == 0;
#endif
}

/// One thread, once; the others see it after fence_mbarrier_init() of that thread and a barrier of the block.
__device__ __forceinline__ void mbarrier_init(Mbarrier& barrier, unsigned count) {
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(at), "r"(count) : "memory");
}
/// Makes initialised barriers known to the copy hardware.
__device__ __forceinline__ void fence_mbarrier_init() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
__device__ __forceinline__ void mbarrier_arrive(Mbarrier& barrier) {
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile("{.reg .b64 state; mbarrier.arrive.shared.b64 state, [%0];}" ::"r"(at) : "memory");
}
/// Arrives and announces bytes that copies will bring in this phase.
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier& barrier, unsigned bytes) {
#if __CUDA_ARCH__ >= 900
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile("{.reg .b64 state; mbarrier.arrive.expect_tx.shared.b64 state, [%0], %1;}" ::"r"(at), "r"(bytes)
               : "memory");
#else
  (void)barrier, (void)bytes;
  __trap();
#endif
}
/// Waits until the phase of this parity (0 for the first, 1 for the second, 0 for the third ...) has completed.
__device__ __forceinline__ void mbarrier_wait(Mbarrier& barrier, unsigned parity) {
#if __CUDA_ARCH__ >= 900
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile(
      "{.reg .pred done;\n"
      "again: mbarrier.try_wait.parity.shared.b64 done, [%0], %1;\n"
      "@!done bra again;}" ::"r"(at),
      "r"(parity)
      : "memory");
#else
  (void)barrier, (void)parity;
  __trap();
#endif
}

// ---- copies by the hardware -----------------------------------------------------------------------------------------

/// A batch of planes in memory and the box that one copy brings. A kernel takes it as
/// `const __grid_constant__ TensorMap map`.
struct TensorMap {
  CUtensorMap map;
};

/// What the current device runs of a kernel. (A kernel that was compiled for an older device only may run on a new
/// one.)
struct Code {
  int capability =
      0;              // 10 * major + minor of its binary, or of its PTX where that is lower; 0 where it cannot be asked
  int registers = 0;  // of a thread
};
template <auto kKernel>
Code code() {
  constexpr int kDevices = 64, kBase = 1000;
  static std::atomic<int> known[kDevices] = {};  // capability * kBase + registers
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return {};
  if (device < kDevices) {
    if (const int answer = known[device].load(std::memory_order_relaxed)) return {answer / kBase, answer % kBase};
  }
  cudaFuncAttributes attributes{};
  if (cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kKernel)) != cudaSuccess) {
    (void)cudaGetLastError();
    return {};
  }
  const int lowest =
      attributes.ptxVersion < attributes.binaryVersion ? attributes.ptxVersion : attributes.binaryVersion;
  if (device < kDevices) known[device].store(lowest * kBase + attributes.numRegs, std::memory_order_relaxed);
  return {lowest, attributes.numRegs};
}

/// Whether copy_box works in this kernel.
template <auto kKernel>
bool can_copy_boxes() {
  return code<kKernel>().capability >= 90;
}

/// Whether raise_registers works in this kernel. sm_90 and sm_90a both call themselves 90; but where kRegistersMove is
/// false the kernel is empty and has a handful of registers, where it is true it is launched with 128.
template <auto kKernel>
bool registers_move() {
  const Code found = code<kKernel>();
  return found.capability == 90 && found.registers >= 64;
}

/// fp32 planes of height x width, `pitch` floats from row to row; the base, the pitch and a box's rows must be
/// multiples of 16 bytes.
inline Status make_tensor_map(TensorMap& result, const float* base, std::int64_t planes, std::int64_t height,
                              std::int64_t width, std::int64_t pitch, int box_height, int box_width) {
  if (reinterpret_cast<std::uintptr_t>(base) % 16 != 0 || pitch % 4 != 0 || box_width % 4 != 0) {
    return Status::error(Status::Code::unsupported,
                         "tensor map: base %p, a pitch of %lld and a box of %d floats must be multiples of 16 bytes",
                         static_cast<const void*>(base), static_cast<long long>(pitch), box_width);
  }
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static std::atomic<void*> known{nullptr};
  void* function = known.load(std::memory_order_relaxed);
  if (!function) {
    cudaDriverEntryPointQueryResult found;
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
    if (error != cudaSuccess) return to_status(error, "cuTensorMapEncodeTiled");
    if (!function) return Status::error(Status::Code::unsupported, "the driver has no cuTensorMapEncodeTiled");
    known.store(function, std::memory_order_relaxed);
  }
  const cuuint64_t sizes[3] = {static_cast<cuuint64_t>(width), static_cast<cuuint64_t>(height),
                               static_cast<cuuint64_t>(planes)};
  const cuuint64_t strides[2] = {static_cast<cuuint64_t>(pitch) * 4, static_cast<cuuint64_t>(pitch) * sizes[1] * 4};
  const cuuint32_t box[3] = {static_cast<cuuint32_t>(box_width), static_cast<cuuint32_t>(box_height), 1};
  const cuuint32_t steps[3] = {1, 1, 1};
  const auto encode = [&] {
    return reinterpret_cast<Encode>(function)(&result.map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 3, const_cast<float*>(base),
                                              sizes, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                              CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                              CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  CUresult status = encode();
  if (status == CUDA_ERROR_INVALID_CONTEXT) {
    // The runtime gives a host thread its context at the first call that needs one, and none may have come before.
    int device = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaSetDevice(device);
    if (error != cudaSuccess) return to_status(error, "cudaSetDevice");
    status = encode();
  }
  if (status == CUDA_SUCCESS) return {};
  return Status::error(Status::Code::device_error, "cuTensorMapEncodeTiled: error %d", static_cast<int>(status));
}

/// One thread: asks for the map itself, which lies in memory.
__device__ __forceinline__ void prefetch_map(const TensorMap& map) {
#if __CUDA_ARCH__ >= 900
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map.map) : "memory");
#else
  (void)map;
#endif
}

/// One thread: brings the box that begins at (plane, row, column) to shared memory, 128-byte aligned; zeros where the
/// box is outside of the plane. Its bytes, all of them, count for the barrier.
__device__ __forceinline__ void copy_box(void* to_shared, const TensorMap& map, int plane, int row, int column,
                                         Mbarrier& barrier) {
#if __CUDA_ARCH__ >= 900
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(to_shared));
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
          "r"(to),
      "l"(&map.map), "r"(column), "r"(row), "r"(plane), "r"(at)
      : "memory");
#else
  (void)to_shared, (void)map, (void)plane, (void)row, (void)column, (void)barrier;
  __trap();
#endif
}

/// One thread: `bytes` in a row; both addresses and `bytes` are multiples of 16.
__device__ __forceinline__ void copy_bulk(void* to_shared, const void* from_global, unsigned bytes, Mbarrier& barrier) {
#if __CUDA_ARCH__ >= 900
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(to_shared));
  const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(&barrier));
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
               "l"(from_global), "r"(bytes), "r"(at)
               : "memory");
#else
  (void)to_shared, (void)from_global, (void)bytes, (void)barrier;
  __trap();
#endif
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
