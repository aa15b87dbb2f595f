// SPDX-License-Identifier: MIT
// tensor_portable: `tensor` without tensor copies, as it runs before compute capability 9.0 and on odd widths anywhere.
//
// Idea and cost: tensor_forward.cuh. 8 bytes of DRAM an element, one launch.
// Run: ./suite test --match tensor_portable ; ./suite profile tensor_portable
#include "tensor_rows.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

Implementation tensor_portable() {
  return {
      .name = "tensor_portable",
      .idea = "tensor cores at fp32 accuracy: as `tensor`, fed by asynchronous copies",
      .device = kDevice,
      .tile = tensor_cores::kTile,
      .mean_gives_up = tensor_cores::kMeanGivesUp,
      .supports = tensor_cores::supports,
      .workspace_bytes = tensor_cores::workspace_bytes,
      .value = [](const Problem& p,
                  const Arguments& a) { return tensor_cores::value(p, a, tensor_cores::FeedChoice::copies); },
      .value_and_grad =
          [](const Problem&, const Arguments&) {
            return Status::error(Status::Code::unsupported, "tensor_portable: value only");
          },
      .cost = tensor_cores::cost,
  };
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
