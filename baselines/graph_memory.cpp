// SPDX-License-Identifier: MIT
#include "graph_memory.hpp"

#if SSIM_WITH_TORCH && SSIM_TORCH_CUDA
#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

#include <atomic>
#endif

namespace ssim::baselines {

#if SSIM_WITH_TORCH && SSIM_TORCH_CUDA

namespace allocator = c10::cuda::CUDACachingAllocator;

struct GraphMemory::Pool {
  c10::DeviceIndex device = 0;
  c10::MempoolId_t id;
  bool open = false;
};

GraphMemory::GraphMemory(void* stream) {
  if (!at::hasCUDA()) return;
  // LibTorch counts its own ids up from 1.
  static std::atomic<unsigned long long> next = 1ull << 40;
  pool_ = std::make_unique<Pool>();
  pool_->device = c10::cuda::current_device();
  pool_->id = {0, next++};
  allocator::beginAllocateToPool(pool_->device, pool_->id,
                                 [stream](cudaStream_t of) { return of == static_cast<cudaStream_t>(stream); });
  pool_->open = true;
}

void GraphMemory::end() {
  if (!pool_ || !pool_->open) return;
  pool_->open = false;
  allocator::endAllocateToPool(pool_->device, pool_->id);
}

GraphMemory::~GraphMemory() {
  if (!pool_) return;
  end();
  allocator::releasePool(pool_->device, pool_->id);
}

#else

struct GraphMemory::Pool {};
GraphMemory::GraphMemory(void*) {}
void GraphMemory::end() {}
GraphMemory::~GraphMemory() = default;

#endif

}  // namespace ssim::baselines
