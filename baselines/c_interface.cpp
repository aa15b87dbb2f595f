// SPDX-License-Identifier: MIT
// The baselines, callable from Python by ctypes, so that a row and the Python package whose work it repeats
// can be compared call by call in one process, on one LibTorch, one allocator and one pool of threads.
// Used by bench/compare_package.py and python/tests/test_pytorch_msssim.py.
#include <string>

#include "libtorch_rows.hpp"
#include "settings.hpp"

#define SSIM_EXPORT extern "C" __attribute__((visibility("default")))

/// nullptr, or what went wrong. device, mode, padding: the numbers of kernels/ssim.hpp. shape: four sizes. CUDA: on
/// `stream` of the current device.
SSIM_EXPORT const char* ssim_baseline_call(const char* name, int device, int mode, int padding,
                                           const std::int64_t* shape, const float* x, const float* y,
                                           const float* weight, double* mean, float* grad_x, void* stream) {
  using namespace ssim;
  thread_local std::string message;
  static const Implementation rows[] = {baselines::naive_conv(Device::cpu), baselines::pytorch_mssim(Device::cpu),
                                        baselines::naive_conv(Device::cuda), baselines::pytorch_mssim(Device::cuda)};
  for (const Implementation& row : rows) {
    if (row.name != name || row.device != static_cast<Device>(device)) continue;
    const Problem problem{shape[0], shape[1], shape[2], shape[3], static_cast<Padding>(padding)};
    const Status status = call(row, problem, static_cast<Mode>(mode),
                               {.x = x, .y = y, .weight = weight, .mean = mean, .grad_x = grad_x, .stream = stream});
    message = status.message;
    return status ? nullptr : message.c_str();
  }
  message = std::string("no baseline ") + to_string(static_cast<Device>(device)) + ":" + name;
  return message.c_str();
}

/// 1: the settings that a tuner chooses; 0: those of a plain import.
SSIM_EXPORT void ssim_baseline_settings(int best) {
  ssim::baselines::apply_settings(best ? ssim::baselines::Settings::best : ssim::baselines::Settings::stock);
}

SSIM_EXPORT long long ssim_gradients_copied() { return ssim::baselines::gradients_copied(); }
