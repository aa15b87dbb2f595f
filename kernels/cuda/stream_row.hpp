// SPDX-License-Identifier: MIT
// What the rows `stream` and `stream_unpivoted` (CUDA) have in common on the host.
#pragma once

#include <string>

#include "../implementation.hpp"
#include "primitives.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::streaming {

/// A row of that name which takes a pivot from s before it is squared, or does not. Defined in stream.cu.
Implementation stream_row(const std::string& name, const std::string& idea, bool pivot);

}  // namespace ssim::SSIM_CUDA_NAMESPACE::streaming
