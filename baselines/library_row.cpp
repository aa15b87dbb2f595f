// SPDX-License-Identifier: MIT
#include "library_row.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>

#include "kernels/ssim_row.h"
#if SSIM_WITH_CUDA
#include <cuda_runtime.h>
#endif

namespace ssim {
namespace {

struct Functions {
  decltype(&ssim_row_supports) supports;
  decltype(&ssim_row_workspace_bytes) workspace_bytes;
  decltype(&ssim_row_value) value;
  decltype(&ssim_row_value_and_grad) value_and_grad;
};

Functions load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error("library " + path + " cannot be loaded: " + dlerror());
  Functions functions{};
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function) throw std::runtime_error("library " + path + " does not export " + name + " (kernels/ssim_row.h)");
  };
  find(functions.supports, "ssim_row_supports");
  find(functions.workspace_bytes, "ssim_row_workspace_bytes");
  find(functions.value, "ssim_row_value");
  find(functions.value_and_grad, "ssim_row_value_and_grad");
  return functions;
}

ssim_problem to_c(Device device, const Problem& p) {
  return {p.batch,
          p.channels,
          p.height,
          p.width,
          static_cast<std::int32_t>(p.padding),
          device == Device::cuda ? SSIM_ROW_CUDA : SSIM_ROW_CPU,
          p.c1,
          p.c2};
}

/// One fp32 of 1 in the device's memory: the contract in C has no default for the weight.
const float* one(Device device) {
  static const float host = 1;
#if SSIM_WITH_CUDA
  if (device == Device::cuda) {
    static float* card = [] {
      float* memory = nullptr;
      if (cudaMalloc(&memory, sizeof host) == cudaSuccess) cudaMemcpy(memory, &host, sizeof host, cudaMemcpyDefault);
      return memory;
    }();
    return card;
  }
#endif
  (void)device;
  return &host;
}

Status status_of(int code, const char* function) {
  if (code == 0) return {};
  return Status::error(Status::Code::device_error, "%s returned %d", function, code);
}

Implementation row_of(const Functions& f, Device device, const std::string& name) {
  return {
      .name = name,
      .idea = "a library of the user's",
      .device = device,
      .tile = {},
      .rounds_mean = false,
      .basis = Basis::classic,  // what published kernels are held to
      .supports = [=](const Problem& p, Mode mode) -> std::string {
        const ssim_problem c = to_c(device, p);
        const char* reason = f.supports(&c, mode == Mode::train);
        return reason ? (*reason ? reason : "no reason given") : "";
      },
      .workspace_bytes =
          [=](const Problem& p, Mode mode) {
            const ssim_problem c = to_c(device, p);
            return f.workspace_bytes(&c, mode == Mode::train);
          },
      .value =
          [=](const Problem& p, const Arguments& a) {
            const ssim_problem c = to_c(device, p);
            return status_of(f.value(&c, a.x, a.y, a.mean, a.workspace, a.stream), "ssim_row_value");
          },
      .value_and_grad =
          [=](const Problem& p, const Arguments& a) {
            const ssim_problem c = to_c(device, p);
            return status_of(f.value_and_grad(&c, a.x, a.y, a.weight ? a.weight : one(device), a.mean, a.grad_x,
                                              a.workspace, a.stream),
                             "ssim_row_value_and_grad");
          },
      .cost = [](const Problem&, Mode) { return Cost{}; },
  };
}

}  // namespace

std::vector<Implementation> library_rows(const std::string& path, const std::string& name) {
  const Functions functions = load(path);
  std::vector<Implementation> rows;
  for (const Device device : {Device::cpu, Device::cuda}) {
    const Implementation row = row_of(functions, device, name);
    bool any = false;
    for (const Padding padding : {Padding::same, Padding::valid}) {
      any |= row.supports({.channels = 3, .height = 256, .width = 256, .padding = padding}, Mode::infer).empty();
    }
    if (any) rows.push_back(row);
  }
  if (rows.empty()) {
    throw std::runtime_error("library " + path + " supports 1x3x256x256 on no device, in neither padding");
  }
  return rows;
}

std::vector<Implementation> library_rows_of_environment() {
  const char* path = std::getenv("SUITE_LIBRARY");
  if (!path || !*path) return {};
  const char* name = std::getenv("SUITE_LIBRARY_NAME");
  return library_rows(path, name && *name ? name : "library");
}

}  // namespace ssim
