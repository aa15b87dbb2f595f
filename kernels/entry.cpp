// SPDX-License-Identifier: MIT
// The public entry points and the checks that stand before every row.
#include <array>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <limits>

#include "production.hpp"
#include "registry.hpp"
#include "ssim.hpp"

namespace ssim {
namespace {

using Code = Status::Code;

// Looked up once: a small image's call is short.
const Implementation* production_row(Device device) {
  static const std::array rows = {find_row(Device::cpu, "production"), find_row(Device::cuda, "production"),
                                  find_row(Device::cuda_emulated, "production")};
  const auto index = static_cast<std::size_t>(device);
  return index < rows.size() ? rows[index] : nullptr;
}

bool known(Device device) { return device >= Device::cpu && device <= Device::cuda_emulated; }
bool known(Mode mode) { return mode == Mode::infer || mode == Mode::train; }

Status no_device(Device device) {
  if (!known(device)) {
    return Status::error(Code::invalid_argument, "device = %d must be cpu (0), cuda (1) or cuda_emulated (2)",
                         static_cast<int>(device));
  }
  std::string reason;
  device_available(device, &reason);
  return Status::error(Code::unsupported, "device %s is not available: %s", to_string(device),
                       reason.empty() ? "it has no rows" : reason.c_str());
}

bool aligned(const void* pointer, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

Status check_pointer(const char* name, const void* pointer, std::uintptr_t alignment) {
  if (!pointer)
    return Status::error(Code::invalid_argument, "%s is a null pointer; it must point to device memory", name);
  if (!aligned(pointer, alignment)) {
    return Status::error(Code::invalid_argument, "%s = %p is not aligned to %zu bytes", name, pointer,
                         static_cast<std::size_t>(alignment));
  }
  return {};
}

/// What is written must lie apart from what is read, and from what else is written.
Status check_overlap(const Problem& problem, Mode mode, const Arguments& a, std::int64_t workspace_bytes) {
  struct Range {
    const char* name;
    const void* pointer;
    std::int64_t bytes;
    bool written;
    std::uintptr_t begin() const { return reinterpret_cast<std::uintptr_t>(pointer); }
    std::uintptr_t end() const { return begin() + static_cast<std::uintptr_t>(bytes); }
  };
  const bool train = mode == Mode::train;
  const std::int64_t image = problem.elements() * static_cast<std::int64_t>(sizeof(float));
  const Range ranges[] = {{"mean", a.mean, sizeof(double), true},
                          {"mean_fp32", a.mean_fp32, sizeof(float), true},
                          {"grad_x", train ? a.grad_x : nullptr, image, true},
                          {"workspace", a.workspace, workspace_bytes, true},
                          {"x", a.x, image, false},
                          {"y", a.y, image, false},
                          {"weight", train ? a.weight : nullptr, sizeof(float), false}};
  for (const Range& one : ranges) {
    if (!one.pointer || !one.written || one.bytes == 0) continue;
    for (const Range* other = &one + 1; other != std::end(ranges); ++other) {
      if (!other->pointer || other->bytes == 0 || one.begin() >= other->end() || other->begin() >= one.end()) continue;
      return Status::error(Code::invalid_argument, "%s = %p overlaps %s = %p; they must lie apart", one.name,
                           one.pointer, other->name, other->pointer);
    }
  }
  return {};
}

Status check_arguments(const Implementation& row, const Problem& problem, Mode mode, const Arguments& arguments) {
  if (Status s = check_pointer("x", arguments.x, alignof(float)); !s) return s;
  if (Status s = check_pointer("y", arguments.y, alignof(float)); !s) return s;
  if (Status s = check_pointer("mean", arguments.mean, alignof(double)); !s) return s;
  if (arguments.mean_fp32) {
    if (Status s = check_pointer("mean_fp32", arguments.mean_fp32, alignof(float)); !s) return s;
    if (!row.rounds_mean) {
      return Status::error(Code::unsupported, "mean_fp32 = %p must be null: %s gives the mean as fp64 alone",
                           static_cast<const void*>(arguments.mean_fp32), key(row, problem, mode).c_str());
    }
  }
  if (mode == Mode::train) {
    if (Status s = check_pointer("grad_x", arguments.grad_x, alignof(float)); !s) return s;
    if (arguments.weight && !aligned(arguments.weight, alignof(float))) {
      return check_pointer("weight", arguments.weight, alignof(float));
    }
  }
  if (arguments.threads < 0) {
    return Status::error(Code::invalid_argument, "threads = %d must be 0 (default) or more", arguments.threads);
  }
  const std::int64_t needed = row.workspace_bytes(problem, mode);
  if (arguments.workspace_bytes < needed) {
    return Status::error(Code::invalid_argument, "workspace_bytes = %" PRId64 " is too small: %s needs %" PRId64,
                         arguments.workspace_bytes, key(row, problem, mode).c_str(), needed);
  }
  if (needed > 0) {
    if (Status s = check_pointer("workspace", arguments.workspace, kWorkspaceAlignment); !s) return s;
  }
  return check_overlap(problem, mode, arguments, needed);
}

}  // namespace

Status Status::error(Code code, const char* format, ...) {
  Status status{code, {}};
  va_list list;
  va_start(list, format);
  std::vsnprintf(status.message, sizeof status.message, format, list);
  va_end(list);
  return status;
}

const char* to_string(Padding padding) { return padding == Padding::valid ? "valid" : "same"; }
const char* to_string(Mode mode) { return mode == Mode::train ? "train" : "infer"; }
const char* to_string(Device device) {
  switch (device) {
    case Device::cpu: return "cpu";
    case Device::cuda: return "cuda";
    case Device::cuda_emulated: return "cuda-emulated";
  }
  return "unknown";
}

Status check(const Problem& problem) {
  const struct {
    const char* name;
    std::int64_t size;
  } sizes[] = {
      {"batch", problem.batch}, {"channels", problem.channels}, {"height", problem.height}, {"width", problem.width}};
  for (const auto& [name, size] : sizes) {
    if (size < 1) return Status::error(Code::invalid_argument, "%s = %" PRId64 " must be at least 1", name, size);
  }
  if (problem.padding != Padding::same && problem.padding != Padding::valid) {
    return Status::error(Code::invalid_argument, "padding = %d must be same (0) or valid (1)",
                         static_cast<int>(problem.padding));
  }
  if (problem.padding == Padding::valid) {
    for (const auto& [name, size] : {sizes[2], sizes[3]}) {
      if (size < kWindow) {
        return Status::error(Code::invalid_argument, "%s = %" PRId64 " must be at least %d with padding valid", name,
                             size, kWindow);
      }
    }
  }
  // Bytes of 16 such tensors still fit into 63 bits.
  std::int64_t bytes = 16 * static_cast<std::int64_t>(sizeof(float));
  for (const auto& [name, size] : sizes) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      return Status::error(Code::invalid_argument, "%s = %" PRId64 " makes the problem larger than 2^57 elements", name,
                           size);
    }
  }
  // Width and height on their own are 32-bit in the kernels.
  for (const auto& [name, size] : {sizes[2], sizes[3]}) {
    if (size > std::numeric_limits<std::int32_t>::max() / 4) {
      return Status::error(Code::invalid_argument, "%s = %" PRId64 " must be at most 2^29 - 1", name, size);
    }
  }
  for (const auto& [name, c] : {std::pair{"c1", problem.c1}, std::pair{"c2", problem.c2}}) {
    if (!(c > 0) || c > std::numeric_limits<float>::max()) {
      return Status::error(Code::invalid_argument, "%s = %g must be positive and finite", name, static_cast<double>(c));
    }
  }
  return {};
}

Status call(const Implementation& row, const Problem& problem, Mode mode, const Arguments& arguments) {
  if (Status s = check(problem); !s) return s;
  if (std::string reason = row.supports(problem, mode); !reason.empty()) {
    return Status::error(Code::unsupported, "%s: %s", key(row).c_str(), reason.c_str());
  }
  if (Status s = check_arguments(row, problem, mode, arguments); !s) return s;
  return mode == Mode::train ? row.value_and_grad(problem, arguments) : row.value(problem, arguments);
}

std::string key(const Implementation& row) { return std::string(to_string(row.device)) + ":" + row.name; }

std::string key(const Implementation& row, const Problem& problem, Mode mode) {
  const auto text = [](std::int64_t n) { return std::to_string(n); };
  return key(row) + ":" + to_string(mode) + ":" + to_string(problem.padding) + ":" + text(problem.batch) + "x" +
         text(problem.channels) + "x" + text(problem.height) + "x" + text(problem.width);
}

std::int64_t workspace_bytes(Device device, const Problem& problem, Mode mode) {
  const Implementation* row = production_row(device);
  return row && known(mode) && check(problem) ? row->workspace_bytes(problem, mode) : -1;
}

Status value(Device device, const Problem& problem, const Arguments& arguments) {
  const Implementation* row = production_row(device);
  return row ? call(*row, problem, Mode::infer, arguments) : no_device(device);
}

Status value_and_grad(Device device, const Problem& problem, const Arguments& arguments) {
  const Implementation* row = production_row(device);
  return row ? call(*row, problem, Mode::train, arguments) : no_device(device);
}

const char* chosen_row(Device device, const Problem& problem, Mode mode) {
  const bool right = known(device) && known(mode) && check(problem);
  const Implementation* row = right ? choose(device, problem, mode).row : nullptr;
  return row ? row->name.c_str() : nullptr;
}

#if SSIM_WITH_CUDA
namespace cuda {
Status zero_async(void* pointer, std::int64_t bytes, void* stream);
}
#endif

Status init_workspace(Device device, void* workspace, std::int64_t bytes, void* stream) {
  if (!known(device)) return no_device(device);
  if (Status s = check_pointer("workspace", workspace, kWorkspaceAlignment); !s) return s;
  if (bytes < kControlBytes) {
    return Status::error(Code::invalid_argument, "bytes = %" PRId64 " must be at least %" PRId64, bytes, kControlBytes);
  }
#if SSIM_WITH_CUDA
  if (device == Device::cuda) return cuda::zero_async(workspace, kControlBytes, stream);
#endif
  (void)stream;
  if (!device_available(device)) return no_device(device);
  std::memset(workspace, 0, kControlBytes);
  return {};
}

}  // namespace ssim
