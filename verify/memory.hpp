// SPDX-License-Identifier: MIT
// Memory of any device for tests and benchmarks: guard bands around it, NaN in it, misaligned if asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/ssim.hpp"

namespace ssim::verify {

/// One allocation. Throws std::bad_alloc when there is no memory, std::runtime_error when the device fails.
class Memory {
 public:
  Memory() = default;
  /// `bytes` of payload at an address that is 256-byte aligned plus `offset` bytes; guard bands of a fixed pattern
  /// (NaN to whoever reads it) before and after; the payload is filled with 0xFF, which is NaN as fp32 and fp64.
  Memory(Device device, std::int64_t bytes, std::int64_t offset = 0);
  ~Memory();
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;

  void* data() const { return payload_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(payload_);
  }
  std::int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  /// From host memory; to a card also from memory of that card.
  void upload(const void* from);
  void download(void* to_host) const;
  void download(void* to_host, std::int64_t from, std::int64_t bytes) const;
  template <typename T>
  std::vector<T> download() const {
    std::vector<T> host(static_cast<std::size_t>(bytes_) / sizeof(T));
    download(host.data());
    return host;
  }
  /// Fills the payload, or `bytes` of it from `from`, with one byte value.
  void fill(unsigned char value);
  void fill(unsigned char value, std::int64_t from, std::int64_t bytes);
  /// "" while both guard bands are as they were, else which one was written to and where first.
  std::string damage() const;

 private:
  void release() noexcept;
  Device device_ = Device::cpu;
  std::int64_t bytes_ = 0, offset_ = 0;
  void* allocation_ = nullptr;
  void* payload_ = nullptr;
};

/// Waits for all work on the device; throws std::runtime_error with the device's message if any of it failed.
void synchronize(Device device);

/// Bytes of memory that can be allocated now.
std::int64_t free_memory(Device device);

}  // namespace ssim::verify
