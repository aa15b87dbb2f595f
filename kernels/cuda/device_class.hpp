// SPDX-License-Identifier: MIT
// What the choice among rows asks of the current device: no synchronisation, no allocation, each attribute once.
#pragma once

namespace ssim {

struct DeviceClass {
  int capability = 0;       // CUDA: 10 * major + minor, 0 where there is no card; CPU: 0
  int multiprocessors = 1;  // CPU: 1
};

namespace cuda {
DeviceClass device_class();
}  // namespace cuda
namespace cuda_emulated {
DeviceClass device_class();
}  // namespace cuda_emulated

}  // namespace ssim
