// SPDX-License-Identifier: MIT
// NVTX ranges in the domain `ssim`, named row:problem:phase. Header only; without the header, or with
// -DNVTX_DISABLE, a range is nothing. Never `/` in a name: it is Nsight Compute's nesting delimiter.
#pragma once

#include <string>

#include "key.hpp"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define SSIM_BENCH_NVTX 1
#else
#define SSIM_BENCH_NVTX 0
#endif

namespace ssim::bench {

/// "row:BxCxHxW-mode-padding", to which the caller adds ":phase".
inline std::string range_name(const Key& key) {
  return key.name + ":" + to_string(key.shape) + "-" + ssim::to_string(key.mode) + "-" + ssim::to_string(key.padding);
}

/// A push/pop range from construction to destruction.
class Range {
 public:
#if SSIM_BENCH_NVTX
  explicit Range(const std::string& name) {
    nvtxEventAttributes_t attributes{};
    attributes.version = NVTX_VERSION;
    attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
    attributes.message.ascii = name.c_str();
    nvtxDomainRangePushEx(domain(), &attributes);
  }
  ~Range() { nvtxDomainRangePop(domain()); }
#else
  explicit Range(const std::string&) {}
#endif
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

#if SSIM_BENCH_NVTX
 private:
  static nvtxDomainHandle_t domain() {
    static const nvtxDomainHandle_t handle = nvtxDomainCreateA("ssim");
    return handle;
  }
#endif
};

}  // namespace ssim::bench
