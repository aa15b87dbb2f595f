// SPDX-License-Identifier: MIT
// All that a C++ caller includes: the mean SSIM of two image batches, and its gradient to the first.
//
// Raw pointers and a stream; no allocation, no synchronisation, no exceptions. The caller asks for the size of the
// workspace, allocates it in the device's memory, initialises it once and may then reuse it for any number of calls
// that follow one another on one stream. Calls that may overlap need workspaces of their own.
//
//     ssim::Problem problem{.batch = 1, .channels = 3, .height = 1080, .width = 1920};
//     auto bytes = ssim::workspace_bytes(ssim::Device::cuda, problem, ssim::Mode::train);
//     void* workspace = allocate(bytes);                                  // e.g. cudaMalloc
//     ssim::init_workspace(ssim::Device::cuda, workspace, bytes, stream);
//     ssim::value_and_grad(ssim::Device::cuda, problem, {.x = x, .y = y, .mean = mean, .grad_x = grad,
//                          .workspace = workspace, .workspace_bytes = bytes, .stream = stream});
//
// The function is that of Wang et al. 2004 with an 11x11 Gaussian window of sigma 1.5; kernels/pixel.hpp has the
// formulas. Pixels are meant to be in [0, data range]. Up to 1e12 times the range the result is right all the same, at
// some cost in time; beyond that it is right or, where squares leave fp32, NaN.
#pragma once

#include <cstdint>

namespace ssim {

inline constexpr int kWindow = 11;  // taps of the separable window
inline constexpr int kHalo = 5;     // pixels on each side of the centre

/// `same`: images are zero outside and every position counts. `valid`: only positions whose window lies inside count,
/// so height and width must be at least 11; the gradient still reaches every pixel.
enum class Padding : std::int32_t { same = 0, valid = 1 };

/// `infer` = value alone, `train` = value and gradient to the first image.
enum class Mode : std::int32_t { infer = 0, train = 1 };

/// Where a row runs and where all its pointers point to. `cuda_emulated` runs CUDA source on the host, for tests.
enum class Device : std::int32_t { cpu = 0, cuda = 1, cuda_emulated = 2 };

/// Shape [batch, channels, height, width], contiguous fp32, and the constants of the formula.
struct Problem {
  std::int64_t batch = 1, channels = 1, height = 1, width = 1;
  Padding padding = Padding::same;
  float c1 = 1e-4f;  // (0.01 * data range)^2
  float c2 = 9e-4f;  // (0.03 * data range)^2

  constexpr std::int64_t planes() const { return batch * channels; }
  constexpr std::int64_t plane_size() const { return height * width; }
  constexpr std::int64_t elements() const { return planes() * plane_size(); }
  /// Rows and columns of window positions that count.
  constexpr std::int64_t counted_height() const { return padding == Padding::valid ? height - 2 * kHalo : height; }
  constexpr std::int64_t counted_width() const { return padding == Padding::valid ? width - 2 * kHalo : width; }
  /// Positions that the mean is taken over.
  constexpr std::int64_t counted() const { return planes() * counted_height() * counted_width(); }
};

/// What a call came to. `message` names the argument, what was given and what is allowed; empty when ok.
struct Status {
  enum class Code : std::int32_t { ok = 0, invalid_argument = 1, unsupported = 2, device_error = 3 };
  Code code = Code::ok;
  char message[248] = {};

  constexpr explicit operator bool() const { return code == Code::ok; }
  /// printf-style; truncates.
  [[gnu::format(printf, 2, 3)]] static Status error(Code code, const char* format, ...);
};

/// The pointers of one call, all in the device's memory. Outputs and the workspace lie apart from the images and from
/// one another.
struct Arguments {
  const float* x = nullptr;       // first image batch, [B, C, H, W]
  const float* y = nullptr;       // second image batch, the same shape
  const float* weight = nullptr;  // train: one fp32 that multiplies the gradient; nullptr means 1
  double* mean = nullptr;         // out: one fp64, the mean SSIM
  float* mean_fp32 = nullptr;     // out, may be left out: the same rounded to fp32
  float* grad_x = nullptr;        // out, train: weight * d mean / d x, the shape of x
  void* workspace = nullptr;      // initialised once by init_workspace
  std::int64_t workspace_bytes = 0;
  void* stream = nullptr;  // cudaStream_t of the current device; nullptr is the default stream; unused on the CPU
  int threads = 0;         // CPU: how many threads; 0 means OpenMP's default
};

/// Every workspace begins with a control block of this size, which init_workspace zeroes and every call leaves zero.
inline constexpr std::int64_t kControlBytes = 256;

/// Alignment in bytes that a workspace must have.
inline constexpr std::int64_t kWorkspaceAlignment = 256;

/// Bytes of workspace that `value` (infer) or `value_and_grad` (train) needs for this problem; -1 where check() fails
/// or the device or the mode is none of the above.
std::int64_t workspace_bytes(Device device, const Problem& problem, Mode mode);

/// Zeroes the control block, in stream order on a GPU. Once after allocation.
Status init_workspace(Device device, void* workspace, std::int64_t bytes, void* stream = nullptr);

/// Mean SSIM into *mean, by the production row of the device.
Status value(Device device, const Problem& problem, const Arguments& arguments);

/// Mean SSIM into *mean, and weight * d mean / d x into grad_x.
Status value_and_grad(Device device, const Problem& problem, const Arguments& arguments);

/// Name of the row that production runs for this problem, e.g. "stream"; nullptr where there is none, or no
/// such device or mode. For pointers that
/// are aligned to 16 bytes; others may get another row.
const char* chosen_row(Device device, const Problem& problem, Mode mode);

/// Whether a problem is one at all: sizes >= 1, `valid` with height and width >= 11, no overflow, constants > 0.
Status check(const Problem& problem);

const char* to_string(Padding padding);
const char* to_string(Mode mode);
const char* to_string(Device device);  // "cpu", "cuda", "cuda-emulated"

}  // namespace ssim
