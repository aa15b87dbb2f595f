// SPDX-License-Identifier: MIT
// Which rows production prefers for a problem: a lookup in the measured table of selection_table.hpp.
//
// The table is a preference and supports() the condition: the first row of the deciding line that supports the problem
// runs. Lines are of the device class that was measured: a CUDA compute capability, or the CPU. A card of another class
// takes the lines of the nearest one without the rows that are made for that class alone (Implementation::made_for):
// what those take there was not measured. Nothing is timed at run time and the device is not waited for.
//
// Cost: a walk over some dozens of lines, under 0.1 us. `./suite tune` measures and writes the table.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cuda/device_class.hpp"
#include "ssim.hpp"

namespace ssim {

/// One line of the table; the first that matches decides. `no_limit` in both bounds matches every size.
struct SelectionLine {
  static constexpr int kMostRows = 6;
  Device device;   // cpu or cuda
  int capability;  // of the device class; 0 on the CPU
  Mode mode;
  Padding padding;
  int alignments;               // of rows of pixels, in bytes: 4, 8, 16 or a sum of them
  std::int64_t widest;          // width of the image at most
  std::int64_t largest;         // elements for each multiprocessor at most; on the CPU elements
  const char* rows[kMostRows];  // fastest first; the rest null
  const char* figures;          // what was measured
};

inline constexpr std::int64_t no_limit = INT64_MAX;

/// The largest of 4, 8 and 16 bytes to which every row of pixels is aligned where the base pointers are to `pointers`.
constexpr int row_alignment(const Problem& problem, std::uintptr_t pointers = 16) {
  const std::uintptr_t bits = pointers | static_cast<std::uintptr_t>(problem.width) * sizeof(float) | 16;
  return static_cast<int>(bits & -bits);
}

constexpr bool matches(const SelectionLine& line, Mode mode, Padding padding, int alignment, std::int64_t width,
                       std::int64_t elements_each) {
  return line.mode == mode && line.padding == padding && (line.alignments & alignment) != 0 && width <= line.widest &&
         elements_each <= line.largest;
}

/// What the device is to the table.
DeviceClass device_class(Device device);

/// All lines, in the order in which they are asked.
std::span<const SelectionLine> selection_lines();

/// The line that decides, and whether it was measured on this very class. There is one for every problem: the build
/// checks that.
struct Decision {
  const SelectionLine* line = nullptr;
  bool exact = false;
};
Decision decide(Device device, const DeviceClass& of, const Problem& problem, Mode mode, int alignment);

/// "entry 3 of kernels/selection_table.hpp (cuda 9.0, infer, same, rows aligned to 16 bytes, ...)", for people.
std::string to_string(const SelectionLine& line);

}  // namespace ssim
