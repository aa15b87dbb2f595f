// SPDX-License-Identifier: MIT
#include "all_rows.hpp"

#include "kernels/registry.hpp"

namespace ssim {

const std::vector<Implementation>& all_rows() { return kernel_rows(); }

}  // namespace ssim
