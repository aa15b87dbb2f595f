// SPDX-License-Identifier: MIT
// What the rows on tensor cores have in common; defined in tensor.cu.
#pragma once

#include <cstdint>
#include <string>

#include "../implementation.hpp"
#include "primitives.cuh"

namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores {

/// best: tensor copies where the device has them and the images allow it, else copies.
enum class FeedChoice { best, copies };

inline constexpr Tile kTile{8, 128};  // rows and columns of a block's step
/// The fp16 taps are 7.5e-6 (L1) from the Gaussian: 4.2e-6 of the mean of an image and its negative (SSIM -0.3), 7e-7
/// of a photograph and a darker copy, on the photographs of verify/.
inline constexpr double kMeanGivesUp = 6e-6;

/// A row of that name which feeds its kernel in that way.
Implementation row(const std::string& name, const std::string& idea, FeedChoice choice);

}  // namespace ssim::SSIM_CUDA_NAMESPACE::tensor_cores
