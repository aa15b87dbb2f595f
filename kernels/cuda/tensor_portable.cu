// SPDX-License-Identifier: MIT
// tensor_portable: `tensor` without tensor copies, as it runs before compute capability 9.0.
//
// Idea and cost: tensor_forward.cuh. 8 bytes of DRAM an element, one launch.
// Run: ./suite test --filter tensor_portable ; ./suite profile tensor_portable
#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

Implementation tensor_portable() {
  return tensor_cores::forward_row("tensor_portable",
                                   "tensor cores at fp32 accuracy: as `tensor`, fed by asynchronous copies",
                                   tensor_cores::FeedChoice::copies);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
