// SPDX-License-Identifier: MIT
// What a row takes from LibTorch's allocators while it runs, on the CPU and on CUDA alike.
#pragma once

#include <cstdint>
#include <functional>

namespace ssim::baselines {

struct MemoryUse {
  std::int64_t peak = 0;   // most bytes that were held at a time
  std::int64_t kept = -1;  // bytes held when the first backward function began; -1 where none ran
};

/// Runs `call` and counts; what it allocates and what autograd's threads allocate for it, and workspaces that would
/// otherwise lie ready from an earlier call. Bytes as the allocators count them (CUDA rounds up to 512). A tensor in
/// `output`, which the caller has anyway, counts as kept once it is written, but not to the peak. Without LibTorch, or
/// for a row that does not use it, all is 0.
MemoryUse count_memory(const std::function<void()>& call, const void* output = nullptr);

}  // namespace ssim::baselines
