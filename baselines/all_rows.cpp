// SPDX-License-Identifier: MIT
#include "all_rows.hpp"

#include "kernels/registry.hpp"
#include "library_row.hpp"
#if SSIM_WITH_TORCH
#include "kernels/torch/operator_row.hpp"
#include "libtorch_rows.hpp"
#endif

namespace ssim {

const std::vector<Implementation>& all_rows() {
  static const std::vector<Implementation> rows = [] {
    std::vector<Implementation> all = kernel_rows();
#if SSIM_WITH_TORCH
    for (const Device device : {Device::cpu, Device::cuda}) {
      if (device == Device::cuda && !SSIM_WITH_CUDA) continue;
      all.push_back(operator_row(device));
      all.push_back(operator_recompute_row(device));
      all.push_back(baselines::naive_conv(device));
      all.push_back(baselines::pytorch_mssim(device));
    }
#endif
    for (Implementation& row : library_rows_of_environment()) all.push_back(std::move(row));
    return all;
  }();
  return rows;
}

}  // namespace ssim
