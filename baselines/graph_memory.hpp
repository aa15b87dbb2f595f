// SPDX-License-Identifier: MIT
// Lets rows written with LibTorch be captured into a CUDA graph: their allocations come from a pool of the graph's own.
#pragma once

#include <memory>

namespace ssim::baselines {

/// From construction to end() LibTorch's allocations on the stream come from the pool; it is given back in the
/// destructor, which must come after the graph's. Without LibTorch's CUDA it does nothing.
class GraphMemory {
 public:
  /// `stream` is a cudaStream_t of the current device.
  explicit GraphMemory(void* stream);
  ~GraphMemory();
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;
  void end();

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace ssim::baselines
