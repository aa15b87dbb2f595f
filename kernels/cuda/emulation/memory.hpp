// SPDX-License-Identifier: MIT
// Memory for emulated kernels, of which every byte that they may not touch is known.
//
// allocate() gives memory between pages that fault; register_memory() says which part of it kernels may use. An access
// to anything else in such memory, or within kVicinity bytes of a registered part of any memory, ends the launch with
// a message that names kernel, block, thread and address. Memory that was never registered (an array of the calling
// program) is let through as long as it does not fault.
#pragma once

#include <cstddef>

namespace ssim::cuda_emulated {

/// Bytes before and after a registered part that belong to it and that kernels must not touch.
inline constexpr std::size_t kVicinity = 4096;

/// 256-byte aligned, zeroed, with pages before and after that fault. Throws std::bad_alloc.
void* allocate(std::size_t bytes);

/// Frees what allocate() gave; nullptr is allowed.
void release(void* allocation) noexcept;

/// From now on kernels may read and write these bytes. Throws std::bad_alloc.
void register_memory(const void* payload, std::size_t bytes);

/// Ends that; unknown addresses are ignored.
void forget_memory(const void* payload) noexcept;

}  // namespace ssim::cuda_emulated
