// SPDX-License-Identifier: MIT
// Where the compiler's instrumentation of kernel code arrives. Rows are compiled with -fsanitize=thread, which calls
// __tsan_read4(address) and the like before each access to memory, and with -fsanitize=alignment,bounds, which calls
// __ubsan_handle_*(). No sanitizer's library is linked: the calls end here, and are checked against what the thread
// that makes them may touch. Hidden, so that a real sanitizer in the process never meets them.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "worker.hpp"

using ssim::cuda_emulated::emulation::Worker;

namespace {

struct SourceLocation {  // layout of the compilers' own data
  const char* file;
  std::uint32_t line, column;
};
struct TypeDescriptor {
  std::uint16_t kind, info;
  char name[1];
};

inline void check(const void* address, std::size_t bytes, bool write) {
  if (Worker* worker = Worker::running()) worker->access(address, bytes, write);
}

// For accesses that the compiler believes to be aligned, to 8 bytes at least if they are larger.
template <std::size_t kBytes>
inline void check_aligned(const void* address, bool write) {
  constexpr std::uintptr_t kAlignment = kBytes < 8 ? kBytes : 8;
  if (reinterpret_cast<std::uintptr_t>(address) % kAlignment != 0) {
    if (Worker* worker = Worker::running()) worker->fail_alignment(address, kBytes, write);
  }
  check(address, kBytes, write);
}

// Within a kernel the launch fails; elsewhere (host code of a row) there is nobody to tell but the terminal.
[[noreturn]] void report(const SourceLocation& at, const char* text) {
  char message[220];
  const char* slash = std::strrchr(at.file, '/');
  std::snprintf(message, sizeof message, "%s:%u: %s", slash ? slash + 1 : at.file, at.line, text);
  if (Worker* worker = Worker::running()) worker->fail(message);
  std::fprintf(stderr, "%s\n", message);
  std::abort();
}

}  // namespace

#pragma GCC visibility push(hidden)
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define SSIM_ACCESS(bytes)                                                                    \
  void __tsan_read##bytes(void* address) { check_aligned<bytes>(address, false); }            \
  void __tsan_write##bytes(void* address) { check_aligned<bytes>(address, true); }            \
  void __tsan_read_write##bytes(void* address) { check_aligned<bytes>(address, true); }       \
  void __tsan_volatile_read##bytes(void* address) { check_aligned<bytes>(address, false); }   \
  void __tsan_volatile_write##bytes(void* address) { check_aligned<bytes>(address, true); }   \
  void __tsan_unaligned_read##bytes(void* address) { check(address, bytes, false); }          \
  void __tsan_unaligned_write##bytes(void* address) { check(address, bytes, true); }          \
  void __tsan_unaligned_read_write##bytes(void* address) { check(address, bytes, true); }     \
  void __tsan_unaligned_volatile_read##bytes(void* address) { check(address, bytes, false); } \
  void __tsan_unaligned_volatile_write##bytes(void* address) { check(address, bytes, true); }

SSIM_ACCESS(1)
SSIM_ACCESS(2)
SSIM_ACCESS(4)
SSIM_ACCESS(8)
SSIM_ACCESS(16)

void __tsan_read_range(void* address, std::size_t bytes) { check(address, bytes, false); }
void __tsan_write_range(void* address, std::size_t bytes) { check(address, bytes, true); }

void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  check(from, bytes, false);
  check(to, bytes, true);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  check(from, bytes, false);
  check(to, bytes, true);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  check(to, bytes, true);
  return std::memset(to, value, bytes);
}

// Host code of a row may hold a guarded static or a reference count.
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* a, int) { return __atomic_load_n(a, __ATOMIC_SEQ_CST); }
std::uint32_t __tsan_atomic32_load(const volatile std::uint32_t* a, int) {
  return __atomic_load_n(a, __ATOMIC_SEQ_CST);
}
std::uint64_t __tsan_atomic64_load(const volatile std::uint64_t* a, int) {
  return __atomic_load_n(a, __ATOMIC_SEQ_CST);
}
void __tsan_atomic8_store(volatile std::uint8_t* a, std::uint8_t v, int) { __atomic_store_n(a, v, __ATOMIC_SEQ_CST); }
void __tsan_atomic32_store(volatile std::uint32_t* a, std::uint32_t v, int) {
  __atomic_store_n(a, v, __ATOMIC_SEQ_CST);
}
std::uint32_t __tsan_atomic32_fetch_add(volatile std::uint32_t* a, std::uint32_t v, int) {
  return __atomic_fetch_add(a, v, __ATOMIC_SEQ_CST);
}

void __ubsan_handle_type_mismatch_v1(void* pointer, void* address) {
  const struct Data {
    SourceLocation location;
    const TypeDescriptor* type;
    unsigned char log_alignment, kind;
  }& data = *static_cast<const Data*>(pointer);
  char text[160];
  std::snprintf(text, sizeof text, "address %p is used as %.60s, which needs %u-byte alignment", address,
                data.type->name, 1u << data.log_alignment);
  report(data.location, text);
}

void __ubsan_handle_out_of_bounds(void* pointer, void* index) {
  const struct Data {
    SourceLocation location;
    const TypeDescriptor *array, *index;
  }& data = *static_cast<const Data*>(pointer);
  char text[160];
  // A small index comes as its value, sign-extended or not by its width.
  const int bits = 1 << (data.index->info >> 1);
  std::int64_t value = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(index));
  if ((data.index->info & 1) && bits < 64) value = value << (64 - bits) >> (64 - bits);
  std::snprintf(text, sizeof text, "index %lld is outside of %.60s", static_cast<long long>(value), data.array->name);
  report(data.location, text);
}

}  // extern "C"
#pragma GCC visibility pop
