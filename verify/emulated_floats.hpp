// SPDX-License-Identifier: MIT
// Floats that emulated kernels may touch, and nothing around them: 0, 1, 2, ...
#pragma once

#include "kernels/cuda/emulation/memory.hpp"

namespace ssim::verify {

class Floats {
 public:
  explicit Floats(int count) : data_(static_cast<float*>(cuda_emulated::allocate(count * sizeof(float)))) {
    for (int i = 0; i < count; ++i) data_[i] = static_cast<float>(i);
    cuda_emulated::register_memory(data_, count * sizeof(float));
  }
  ~Floats() {
    cuda_emulated::forget_memory(data_);
    cuda_emulated::release(data_);
  }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;
  operator float*() const { return data_; }

 private:
  float* data_;
};

}  // namespace ssim::verify
