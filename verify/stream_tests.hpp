// SPDX-License-Identifier: MIT
// What tests of rows on streams share: one test a row, mode and padding, a stream, and when two results are the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "baselines/all_rows.hpp"
#include "inputs.hpp"
#include "row_tests.hpp"
#if SSIM_WITH_CUDA
#include <cuda_runtime.h>
#endif

#define SSIM_ASSERT_CUDA(call) ASSERT_EQ(cudaGetErrorString(call), std::string("no error"))

namespace ssim::verify {

/// Several planes and blocks, whole vectors; of a size that every row takes.
inline const Problem kSmall{.batch = 2, .channels = 2, .height = 40, .width = 44};
/// Enough that calls on a card overlap.
inline const Problem kOverlapping{.batch = 4, .channels = 3, .height = 270, .width = 480};

/// The same bits where the row promises that; to rounding where not.
inline bool same(const Implementation& row, const Result& a, const Result& b) {
  if (row.repeatable) return same_bits(a, b);
  float largest = 0, apart = 0;
  for (std::size_t i = 0; i < a.gradient.size(); ++i) {
    largest = std::max(largest, std::abs(b.gradient[i]));
    apart = std::max(apart, std::abs(a.gradient[i] - b.gradient[i]));
  }
  return std::abs(a.mean - b.mean) <= 1e-6 && a.gradient.size() == b.gradient.size() && apart <= 1e-5f * largest;
}

/// One test a row, mode and padding, where the row supports the problem.
using Body = void (*)(const Implementation&, const Problem&, Mode);
inline void on_rows(Registrar& registrar, const char* suite, bool (*concerns)(const Implementation&), Body body) {
  for (const Implementation& row : all_rows()) {
    if (!concerns(row)) continue;
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        registrar.add(suite, key(row) + ":" + to_string(mode) + ":" + to_string(padding), [&row, mode, padding, body] {
          if (const std::string reason = cannot_run(row.device); !reason.empty()) {
            return skip(reason, row.device == Device::cuda);
          }
          Problem p = row.device == Device::cuda ? kOverlapping : kSmall;
          p.padding = padding;
          if (const std::string reason = row.supports(p, mode); !reason.empty()) {
            return skip(key(row) + " does not support it: " + reason);
          }
          body(row, p, mode);
        });
      }
    }
  }
}

inline bool any(const Implementation&) { return true; }
inline bool on_card(const Implementation& row) { return row.device == Device::cuda; }
inline bool on_host(const Implementation& row) { return row.device == Device::cpu; }

inline ImagePair images(const Problem& p, std::uint64_t which) { return make_images(p, "textured", seed() + which); }

inline Result alone(const Implementation& row, const Problem& p, Mode mode, const ImagePair& im, float weight = 1) {
  return run_row(row, p, mode, im.x, im.y, weight);
}

/// One of a card's, which does not wait for the default stream; nothing elsewhere.
struct Stream {
#if SSIM_WITH_CUDA
  cudaStream_t stream = nullptr;
  explicit Stream(Device device) {
    if (device == Device::cuda && cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) {
      throw std::runtime_error("cudaStreamCreateWithFlags failed");
    }
  }
  ~Stream() {
    if (stream) cudaStreamDestroy(stream);
  }
  void wait() const {
    if (stream && cudaStreamSynchronize(stream) != cudaSuccess) throw std::runtime_error("the stream has failed");
  }
#else
  void* stream = nullptr;
  explicit Stream(Device) {}
  void wait() const {}
#endif
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

}  // namespace ssim::verify
