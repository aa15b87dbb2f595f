// SPDX-License-Identifier: MIT
#include "card.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <stdexcept>

namespace ssim::verify {
namespace {

// The few functions of NVML that we ask, by name: its header is not everywhere, its library is wherever a driver is.
class Nvml {
 public:
  explicit Nvml(const char* bus_id) : library_(dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL)) {
    if (!library_) return;
    const auto init = function<int (*)()>("nvmlInit_v2");
    const auto by_bus = function<int (*)(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
    if (!init || init() != 0) return;
    if (!by_bus || by_bus(bus_id, &device_) != 0) device_ = nullptr;
  }
  ~Nvml() {
    if (const auto shutdown = function<int (*)()>("nvmlShutdown")) shutdown();
    if (library_) dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  Json driver() const {
    char text[96] = {};
    const auto ask = function<int (*)(char*, unsigned)>("nvmlSystemGetDriverVersion");
    return ask && ask(text, sizeof text) == 0 ? Json(text) : Json();
  }
  Json power_limit_w() const {
    unsigned milliwatt = 0;
    const auto ask = function<int (*)(void*, unsigned*)>("nvmlDeviceGetEnforcedPowerLimit");
    return device_ && ask && ask(device_, &milliwatt) == 0 ? Json(1e-3 * milliwatt) : Json();
  }
  Json ecc() const {
    int current = 0, pending = 0;
    const auto ask = function<int (*)(void*, int*, int*)>("nvmlDeviceGetEccMode");
    return device_ && ask && ask(device_, &current, &pending) == 0 ? Json(current != 0) : Json();
  }
  /// 1 = SM, 2 = memory; MHz.
  Json max_clock(int which) const {
    unsigned mhz = 0;
    const auto ask = function<int (*)(void*, int, unsigned*)>("nvmlDeviceGetMaxClockInfo");
    return device_ && ask && ask(device_, which, &mhz) == 0 ? Json(mhz) : Json();
  }

 private:
  template <typename F>
  F function(const char* name) const {
    return library_ ? reinterpret_cast<F>(dlsym(library_, name)) : nullptr;
  }
  void* library_ = nullptr;
  void* device_ = nullptr;
};

std::string version_text(int version) {  // 13000 -> "13.0"
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void check(cudaError_t error, const char* operation) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(operation) + ": " + cudaGetErrorString(error));
}

}  // namespace

void describe_card(Json& environment) {
  int device = 0, runtime = 0, driver = 0;
  cudaDeviceProp properties{};
  char bus_id[32] = {};
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  check(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, device), "cudaDeviceGetPCIBusId");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  const Nvml nvml(bus_id);
  environment["device_name"] = properties.name;
  environment["driver"] = nvml.driver();
  environment["driver_cuda"] = version_text(driver);
  environment["cuda"] = version_text(runtime);
  environment["power_limit_w"] = nvml.power_limit_w();
  environment["ecc"] = nvml.ecc();
  environment["sm_clock_max_mhz"] = nvml.max_clock(1);
  environment["memory_clock_max_mhz"] = nvml.max_clock(2);
  environment["capability"] = std::to_string(properties.major) + "." + std::to_string(properties.minor);
  environment["multiprocessors"] = properties.multiProcessorCount;
  environment["l2_bytes"] = properties.l2CacheSize;
  environment["memory_bytes"] = properties.totalGlobalMem;
}

}  // namespace ssim::verify
