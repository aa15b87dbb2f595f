// SPDX-License-Identifier: MIT
// One problem in several places of device memory.
//
// Where memory lies decides how the channels of DRAM are used, and stays the same for as long as a process lives: two
// processes of one binary differ by more than minutes of one process. Calls that begin with a cold cache therefore take
// the places in turn, and a figure is a median over them.
// Cost: memory for as many images and gradients, at most a sixteenth of what is free; a copy of the images a place.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/implementation.hpp"
#include "verify/check.hpp"
#include "verify/memory.hpp"

namespace ssim::bench {

class Places {
 public:
  /// Beside one another, the first included.
  static constexpr int kDefault = 4, kMost = 16;

  /// Copies of the case's images, until with them and with gradients there are `count` places, or as many as fit.
  /// `free_bytes` of the device are free. Synchronises.
  Places(const verify::Case& original, int count, std::int64_t free_bytes);
  /// A gradient for each; places that it does not fit into are given up.
  void add_gradients();

  int count() const { return 1 + static_cast<int>(copies_.size()); }
  /// The call in each place, the one that is given first. Outputs but the gradient, and the workspace, are shared.
  std::vector<Arguments> of(const Arguments& arguments) const;

 private:
  struct Copy {
    verify::Memory x, y, gradient;
  };
  std::vector<Copy> copies_;
  std::int64_t offset_ = 0;
};

}  // namespace ssim::bench
