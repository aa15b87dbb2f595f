// SPDX-License-Identifier: MIT
#include "libtorch_row.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <torch/csrc/autograd/autograd.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/torch/bridge.hpp"

#if SSIM_TORCH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace ssim::baselines {
namespace {

using torch_bridge::wrap;
using torch_bridge::wrap_images;

// fp32 is fp32: LibTorch's default lets cuDNN take TF32 for some shapes, with errors of 1e-3. Put back afterwards, for
// the process may be somebody's Python. It is one setting of the process, not safe to be changed by two threads at
// once: of calls that overlap the first keeps it, and the last puts it back.
class WithoutTf32 {
 public:
  WithoutTf32() {
    const std::lock_guard lock(mutex_);
    if (calls_++ > 0) return;
    before_ = at::globalContext().allowTF32CuDNN();
    at::globalContext().setAllowTF32CuDNN(false);
  }
  ~WithoutTf32() {
    const std::lock_guard lock(mutex_);
    if (--calls_ == 0) at::globalContext().setAllowTF32CuDNN(before_);
  }
  WithoutTf32(const WithoutTf32&) = delete;
  WithoutTf32& operator=(const WithoutTf32&) = delete;

 private:
  static inline std::mutex mutex_;
  static inline int calls_ = 0;
  static inline bool before_ = false;
};

Status run(const Formula& formula, Device device, const Problem& problem, const Arguments& arguments, Mode mode) {
  return torch_bridge::without_exceptions(formula.name.c_str(), [&]() -> Status {
    const torch_bridge::CallScope scope(device, arguments, mode);
    const WithoutTf32 fp32;
    const at::Device where = torch_bridge::torch_device(device);
    const bool train = mode == Mode::train;
    Images images{wrap_images(arguments.x, problem, where), wrap_images(arguments.y, problem, where),
                  train ? arguments.grad_x : nullptr, problem};
    if (train) images.x.set_requires_grad(true);
    const at::Tensor mean = formula.mean(images);
    if (train) {
      const at::Tensor weight = arguments.weight ? wrap(arguments.weight, {}, at::kFloat, where) : at::Tensor();
      const at::Tensor gradient = torch::autograd::grad({mean}, {images.x}, {weight})[0];
      torch_bridge::deliver(gradient, arguments, problem, where);
    }
    wrap(arguments.mean, {}, at::kDouble, where).copy_(mean.detach());
    return {};
  });
}

// Bytes of memory that the device has in all; 0 where that cannot be found out.
double device_memory(Device device) {
#if SSIM_TORCH_CUDA
  if (device == Device::cuda) {
    std::size_t available = 0, total = 0;
    return cudaMemGetInfo(&available, &total) == cudaSuccess ? static_cast<double>(total) : 0;
  }
#endif
  (void)device;
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

std::string supports(const Formula& formula, Device device, const Problem& problem, Mode mode) {
  if (std::string reason = torch_bridge::runs_on(device); !reason.empty()) return reason;
  if (std::string reason = formula.supports(device, problem, mode); !reason.empty()) return reason;
  if (problem.elements() > std::numeric_limits<std::int32_t>::max()) {
    return "more than 2^31 - 1 elements: LibTorch's convolutions index with 32 bits";
  }
  static const double memory[2] = {device_memory(Device::cpu), device_memory(Device::cuda)};
  const double available = memory[device == Device::cuda];
  const double needed =
      static_cast<double>(problem.elements()) * (12 + formula.peak_bytes_per_element[static_cast<int>(mode)]);
  if (available > 0 && needed > 0.9 * available) {
    char text[120];
    std::snprintf(text, sizeof text, "needs about %.1f GB of memory, the device has %.1f GB", needed * 1e-9,
                  available * 1e-9);
    return text;
  }
  return "";
}

// Windows by device and channels. Never freed: CUDA may be gone when static objects are destroyed.
const at::Tensor& window(const at::Tensor& like, bool two_dimensional) {
  static std::mutex mutex;
  static auto* windows = new std::map<std::tuple<std::string, std::int64_t, bool>, at::Tensor>;
  thread_local std::tuple<at::Device, std::int64_t, bool, const at::Tensor*> last{at::kMeta, 0, false, nullptr};
  const std::int64_t channels = like.size(1);
  if (auto& [device, count, kind, found] = last;
      found && device == like.device() && count == channels && kind == two_dimensional) {
    return *found;
  }
  const std::lock_guard lock(mutex);
  at::Tensor& entry = (*windows)[{like.device().str(), channels, two_dimensional}];
  if (!entry.defined()) {
    const at::NoGradGuard no_grad;
    // exp(-k^2 / (2 sigma^2)) in fp32, divided by its sum in fp32: the last bits are those of the package.
    at::Tensor taps = at::arange(kWindow, at::kFloat) - (kWindow / 2);
    taps = (-taps.pow(2) / (2 * 1.5 * 1.5)).exp();
    taps = (taps / taps.sum()).reshape({kWindow, 1});
    if (two_dimensional) taps = taps.matmul(taps.t());
    entry = taps.reshape({1, 1, kWindow, -1}).repeat({channels, 1, 1, 1}).to(like.device());
  }
  last = {like.device(), channels, two_dimensional, &entry};
  return entry;
}

}  // namespace

const at::Tensor& window_1d(const at::Tensor& like) { return window(like, false); }
const at::Tensor& window_2d(const at::Tensor& like) { return window(like, true); }

Implementation libtorch_row(const Formula& formula, Device device) {
  return {
      .name = formula.name,
      .idea = formula.idea,
      .device = device,
      .tile = {},
      .baseline = true,
      .capturable = false,
      .rounds_mean = false,
      .basis = Basis::classic,
      .mean_is_fp32 = true,
      .repeatable = device == Device::cpu,  // cuDNN adds gradients of one-channel convolutions in any order
      .supports = [formula, device](const Problem& p, Mode mode) { return supports(formula, device, p, mode); },
      .workspace_bytes = [](const Problem&, Mode) -> std::int64_t { return 0; },
      .value = [formula, device](const Problem& p,
                                 const Arguments& a) { return run(formula, device, p, a, Mode::infer); },
      .value_and_grad = [formula, device](const Problem& p,
                                          const Arguments& a) { return run(formula, device, p, a, Mode::train); },
      .cost = [formula, device](const Problem& p, Mode mode) { return formula.cost(device, p, mode); },
  };
}

}  // namespace ssim::baselines
