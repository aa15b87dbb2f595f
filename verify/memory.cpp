// SPDX-License-Identifier: MIT
// Guarded memory on each device. Guard bands are a NaN with a payload of its own: a kernel that reads them gets NaN
// (which shows in the result), one that writes them is found by damage().
#include "memory.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#if SSIM_WITH_CUDA
#include <cuda_runtime.h>
#endif
#if SSIM_WITH_EMULATION
#include "kernels/cuda/emulation/memory.hpp"
#endif

namespace ssim::verify {
namespace {

constexpr std::int64_t kGuard = 4096;         // bytes before and after, a multiple of 256
constexpr std::uint32_t kMark = 0x7FC5A5A5u;  // quiet NaN as fp32, and twice in a row as fp64

#if SSIM_WITH_CUDA
void check_cuda(cudaError_t error, const char* operation) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(operation) + ": " + cudaGetErrorString(error));
}
#endif

unsigned char mark_byte(std::int64_t position) { return static_cast<unsigned char>(kMark >> (8 * (position % 4))); }

void* allocate(Device device, std::int64_t bytes) {
  switch (device) {
    case Device::cpu: break;
    case Device::cuda: {
#if SSIM_WITH_CUDA
      void* pointer = nullptr;
      const cudaError_t error = cudaMalloc(&pointer, static_cast<std::size_t>(bytes));
      if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        throw std::bad_alloc();
      }
      check_cuda(error, "cudaMalloc");
      return pointer;
#else
      throw std::runtime_error("memory of device cuda: built without CUDA");
#endif
    }
    case Device::cuda_emulated:
#if SSIM_WITH_EMULATION
      return cuda_emulated::allocate(static_cast<std::size_t>(bytes));
#else
      throw std::runtime_error("memory of device cuda-emulated: built without the emulation");
#endif
  }
  const std::int64_t rounded = (bytes + 255) / 256 * 256;
  void* pointer = std::aligned_alloc(256, static_cast<std::size_t>(rounded));
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

void copy(Device device, void* to, const void* from, std::int64_t bytes) {
  if (bytes == 0) return;
#if SSIM_WITH_CUDA
  if (device == Device::cuda) {
    check_cuda(cudaMemcpy(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault), "cudaMemcpy");
    return;
  }
#endif
  (void)device;
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

}  // namespace

Memory::Memory(Device device, std::int64_t bytes, std::int64_t offset) : device_(device), bytes_(bytes) {
  if (bytes < 0 || offset < 0 || offset >= 256) {
    throw std::invalid_argument("Memory: bytes >= 0 and 0 <= offset < 256, got " + std::to_string(bytes) + " and " +
                                std::to_string(offset));
  }
  offset_ = offset;
  allocation_ = allocate(device, kGuard + offset + bytes + kGuard);
  payload_ = static_cast<char*>(allocation_) + kGuard + offset;
  std::vector<unsigned char> marks(static_cast<std::size_t>(kGuard + offset));
  for (std::size_t i = 0; i < marks.size(); ++i) marks[i] = mark_byte(static_cast<std::int64_t>(i));
  copy(device_, allocation_, marks.data(), kGuard + offset);
  copy(device_, static_cast<char*>(payload_) + bytes, marks.data(), kGuard);
  fill(0xFF);
#if SSIM_WITH_EMULATION
  if (device_ == Device::cuda_emulated) cuda_emulated::register_memory(payload_, static_cast<std::size_t>(bytes));
#endif
}

Memory::~Memory() { release(); }

Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this == &other) return *this;
  release();
  device_ = other.device_;
  bytes_ = other.bytes_;
  offset_ = other.offset_;
  allocation_ = std::exchange(other.allocation_, nullptr);
  payload_ = std::exchange(other.payload_, nullptr);
  other.bytes_ = 0;
  return *this;
}

void Memory::release() noexcept {
  if (!allocation_) return;
#if SSIM_WITH_EMULATION
  if (device_ == Device::cuda_emulated) {
    cuda_emulated::forget_memory(payload_);
    cuda_emulated::release(allocation_);
    allocation_ = payload_ = nullptr;
    return;
  }
#endif
#if SSIM_WITH_CUDA
  if (device_ == Device::cuda) {
    cudaFree(allocation_);
    allocation_ = payload_ = nullptr;
    return;
  }
#endif
  std::free(allocation_);
  allocation_ = payload_ = nullptr;
}

void Memory::upload(const void* from) { copy(device_, payload_, from, bytes_); }
void Memory::download(void* to_host) const { copy(device_, to_host, payload_, bytes_); }
void Memory::download(void* to_host, std::int64_t from, std::int64_t bytes) const {
  copy(device_, to_host, static_cast<const char*>(payload_) + from, bytes);
}

void Memory::fill(unsigned char value) { fill(value, 0, bytes_); }

void Memory::fill(unsigned char value, std::int64_t from, std::int64_t bytes) {
  if (from < 0 || bytes < 0 || from + bytes > bytes_) {
    throw std::invalid_argument("Memory::fill: " + std::to_string(bytes) + " bytes from " + std::to_string(from) +
                                " do not lie in a payload of " + std::to_string(bytes_));
  }
  if (bytes == 0) return;
  char* start = static_cast<char*>(payload_) + from;
#if SSIM_WITH_CUDA
  if (device_ == Device::cuda) {
    check_cuda(cudaMemset(start, value, static_cast<std::size_t>(bytes)), "cudaMemset");
    return;
  }
#endif
  std::memset(start, value, static_cast<std::size_t>(bytes));
}

std::string Memory::damage() const {
  if (!allocation_) return "";
  std::vector<unsigned char> band(static_cast<std::size_t>(kGuard + offset_));
  const auto first_bad = [&](std::int64_t bytes) {
    for (std::int64_t i = 0; i < bytes; ++i) {
      if (band[static_cast<std::size_t>(i)] != mark_byte(i)) return i;
    }
    return std::int64_t{-1};
  };
  const std::int64_t front = kGuard + offset_;
  copy(device_, band.data(), allocation_, front);
  // Of the band in front the byte nearest to the payload is the one to name.
  for (std::int64_t i = front - 1; i >= 0; --i) {
    if (band[static_cast<std::size_t>(i)] != mark_byte(i)) {
      return "written " + std::to_string(front - i) + " bytes before its start";
    }
  }
  copy(device_, band.data(), static_cast<const char*>(payload_) + bytes_, kGuard);
  if (const std::int64_t i = first_bad(kGuard); i >= 0) return "written " + std::to_string(i) + " bytes past its end";
  return "";
}

void synchronize(Device device) {
#if SSIM_WITH_CUDA
  if (device == Device::cuda) check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
#endif
  (void)device;
}

std::int64_t free_memory(Device device) {
#if SSIM_WITH_CUDA
  if (device == Device::cuda) {
    std::size_t free = 0, total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return static_cast<std::int64_t>(free);
  }
#endif
  (void)device;
  return static_cast<std::int64_t>(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace ssim::verify
