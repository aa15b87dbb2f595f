// SPDX-License-Identifier: MIT
// One line a row. The name is the function that returns the row, declared by the macro, defined in the row's file.
#include "registry.hpp"

#include "production.hpp"

// clang-format off
#define SSIM_CPU_ROWS(row) \
  row(reference) \
  row(stream)

#define SSIM_CUDA_ROWS(row) \
  row(naive) \
  row(tiled) \
  row(stream) \
  row(tensor) \
  row(tensor_portable) \
  row(tensor_train)
// clang-format on

#define SSIM_DECLARE(name) Implementation name();
#define SSIM_CPU_ENTRY(name) cpu::name(),
#define SSIM_CUDA_ENTRY(name) cuda::name(),
#define SSIM_EMULATED_ENTRY(name) cuda_emulated::name(),

namespace ssim {

namespace cpu {
SSIM_CPU_ROWS(SSIM_DECLARE)
}  // namespace cpu
#if SSIM_WITH_CUDA
namespace cuda {
SSIM_CUDA_ROWS(SSIM_DECLARE)
bool available(std::string* reason);
}  // namespace cuda
#endif
#if SSIM_WITH_EMULATION
namespace cuda_emulated {
SSIM_CUDA_ROWS(SSIM_DECLARE)
}  // namespace cuda_emulated
#endif

const std::vector<Implementation>& kernel_rows() {
  static const std::vector<Implementation> rows = {
    SSIM_CPU_ROWS(SSIM_CPU_ENTRY) production(Device::cpu),
#if SSIM_WITH_CUDA
    SSIM_CUDA_ROWS(SSIM_CUDA_ENTRY) production(Device::cuda),
#endif
#if SSIM_WITH_EMULATION
    SSIM_CUDA_ROWS(SSIM_EMULATED_ENTRY) production(Device::cuda_emulated),
#endif
  };
  return rows;
}

const Implementation* find_row(Device device, const std::string& name) {
  for (const Implementation& row : kernel_rows()) {
    if (row.device == device && row.name == name) return &row;
  }
  return nullptr;
}

bool device_available(Device device, std::string* reason) {
  if (reason) reason->clear();
  switch (device) {
    case Device::cpu: return true;
    case Device::cuda:
#if SSIM_WITH_CUDA
      return cuda::available(reason);
#else
      if (reason) *reason = "built without CUDA (no nvcc was found)";
      return false;
#endif
    case Device::cuda_emulated:
#if SSIM_WITH_EMULATION
      return true;
#else
      if (reason) *reason = "built without the CUDA emulation";
      return false;
#endif
  }
  return false;
}

}  // namespace ssim
