// SPDX-License-Identifier: MIT
// Image pairs by named class. Each class is aimed at something that kernels get wrong; all are functions of the seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/ssim.hpp"
#include "random.hpp"

namespace ssim::verify {

struct ImagePair {
  std::vector<float> x, y;  // [B, C, H, W]
};

struct InputClass {
  const char* name;
  const char* idea;
};

/// All classes, in the order of the accuracy table.
const std::vector<InputClass>& input_classes();

/// Whether there is a class of this name.
bool is_input_class(const std::string& name);

/// The pair of the class. Throws std::invalid_argument for a name that is not one (with those that are), and
/// std::runtime_error where a photograph cannot be read.
ImagePair make_images(const Problem& problem, const std::string& input_class, std::uint64_t seed);

struct Photograph {
  std::string name;
  std::int64_t height = 0, width = 0;
  std::vector<float> rgb;  // [3, height, width], 0 to 1
};

/// The three photographs of verify/photos.
const std::vector<Photograph>& photographs();

/// Degradations of a [channels, height, width] image; the edge repeats outward.
enum class Degradation { blur, noise, quantise, shift };
std::vector<float> degrade(const std::vector<float>& image, std::int64_t planes, std::int64_t height,
                           std::int64_t width, Degradation how, std::uint64_t seed);

}  // namespace ssim::verify
