// SPDX-License-Identifier: MIT
// One line a row. The name is the function that returns the row, declared by the macro, defined in the row's file. A
// number behind it is the row's made_for (implementation.hpp).
#include "registry.hpp"

#include <string_view>

#include "production.hpp"
#include "selection_table.hpp"

// clang-format off
#define SSIM_CPU_ROWS(row) \
  row(reference) \
  row(stream)

#define SSIM_CUDA_ROWS(row) \
  row(naive) \
  row(tiled) \
  row(stream) \
  row(stream_unpivoted) \
  row(tensor, 90) \
  row(tensor_portable) \
  row(tensor_train, 90)
// clang-format on

#define SSIM_DECLARE(name, ...) Implementation name();
#define SSIM_CPU_ENTRY(name) cpu::name(),
#define SSIM_CUDA_ENTRY(name, ...) made_for(cuda::name() __VA_OPT__(, ) __VA_ARGS__),
#define SSIM_EMULATED_ENTRY(name, ...) made_for(cuda_emulated::name() __VA_OPT__(, ) __VA_ARGS__),
#define SSIM_NAME(name, ...) #name,

namespace ssim {
namespace {

// The table of preferences names rows of this list alone.
constexpr bool table_names_rows() {
  constexpr std::string_view cpu_rows[] = {SSIM_CPU_ROWS(SSIM_NAME)}, cuda_rows[] = {SSIM_CUDA_ROWS(SSIM_NAME)};
  const auto known = [](std::string_view name, const auto& rows) {
    for (const std::string_view row : rows) {
      if (row == name) return true;
    }
    return false;
  };
  for (const SelectionLine& line : kSelection) {
    for (const char* name : line.rows) {
      if (name && !(line.device == Device::cpu ? known(name, cpu_rows) : known(name, cuda_rows))) return false;
    }
  }
  return true;
}
static_assert(table_names_rows(), "selection_table.hpp names a row that the registry does not have; ./suite tune");

[[maybe_unused]] Implementation made_for(Implementation row, int capability = 0) {
  row.made_for = capability;
  return row;
}

}  // namespace

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
