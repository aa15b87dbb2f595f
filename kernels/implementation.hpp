// SPDX-License-Identifier: MIT
// The contract of a row: what an implementation tells about itself and how it is called.
//
// verify/, bench/ and reports/ walk the rows and know nothing else of an implementation. A row's functions may assume
// that call() has checked the problem and the arguments; they must write every output, leave the inputs unchanged, the
// control block zero, and give bitwise the same result every time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ssim.hpp"

namespace ssim {

/// What a design should cost by its own model, for the whole problem; bench sets it beside what it measures.
struct Cost {
  double dram_bytes = 0;  // least traffic with device memory if the design's working set stays in cache
  double fma = 0;         // fused multiply-adds of its convolutions
  int launches = 0;       // kernels and memsets in one call; 0 on the CPU
};

/// What one unit of work covers, so that tests can aim at its seams. 0 = no tiling in that direction.
struct Tile {
  int height = 0, width = 0;
};

/// Which statistics a row is built on (pixel.hpp); the accuracy that is asked of it follows from that.
/// sum_difference: SSIM from s = x + y and d = x - y, keeps the digits of 1 - SSIM.
/// classic: the five moments of the published formula; loses digits where the images are flat or nearly equal.
enum class Basis { sum_difference, classic };

struct Implementation {
  std::string name;  // file stem = row name = test name = benchmark name
  std::string idea;  // one line
  Device device = Device::cpu;
  Tile tile;
  /// Baselines are what rows are compared with; a ratio's denominator is never one of them.
  bool baseline = false;
  /// Neither allocates nor synchronises, so a call can be captured into a CUDA graph.
  bool capturable = true;
  /// Takes Arguments::mean_fp32.
  bool rounds_mean = true;
  Basis basis = Basis::sum_difference;
  /// Takes a constant from s before it is squared. Without that, bright flat windows cost digits.
  bool centred = true;
  /// The mean has passed through an fp32 scalar on its way, which cannot hold 1 - SSIM near 1.
  bool mean_is_fp32 = false;
  /// Two calls give the same bits. False where LibTorch chooses algorithms that do not promise it.
  bool repeatable = true;
  /// CUDA: the emulation computes the same bits where neither contracts. False for tensor cores, which it only models.
  bool exact_in_emulation = true;
  /// CUDA: the compute capability, times 10, whose own instructions its figures rest on, by its line in the registry;
  /// 0: none. It may run elsewhere, but production takes it only where the table has figures of that class.
  int made_for = 0;
  /// Sums of products in tensor cores, which cut off where others round, by taps of fp16, which are off the Gaussian by
  /// 7.5e-6 in all (tensor_weights.hpp). Where images are flat that is a bias, which no mean averages out.
  bool fp16_taps = false;
  /// "" = yes, else the reason why not. Never a silent skip.
  std::function<std::string(const Problem&, Mode)> supports;
  /// 0, or at least kControlBytes.
  std::function<std::int64_t(const Problem&, Mode)> workspace_bytes;
  std::function<Status(const Problem&, const Arguments&)> value;
  std::function<Status(const Problem&, const Arguments&)> value_and_grad;
  std::function<Cost(const Problem&, Mode)> cost;
};

/// Checks everything that can be checked without touching memory, then calls the row.
Status call(const Implementation& row, const Problem& problem, Mode mode, const Arguments& arguments);

/// "cpu:stream"; device and name identify a row.
std::string key(const Implementation& row);

/// "device:row:mode:padding:BxCxHxW": what filters match and messages quote; bench appends ":clock".
std::string key(const Implementation& row, const Problem& problem, Mode mode);

}  // namespace ssim
