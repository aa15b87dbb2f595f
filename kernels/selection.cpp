// SPDX-License-Identifier: MIT
#include "selection.hpp"

#include <cstdlib>
#include <string_view>

#include "selection_table.hpp"

namespace ssim {
namespace {

constexpr bool same_class(const SelectionLine& a, Device device, int capability) {
  return a.device == device && a.capability == capability;
}

// The emulation runs the CUDA rows, by the table of the cards.
constexpr Device table_device(Device device) { return device == Device::cpu ? Device::cpu : Device::cuda; }

constexpr bool well_formed(const SelectionLine& line) {
  if (line.device != Device::cpu && line.device != Device::cuda) return false;
  if ((line.device == Device::cpu) != (line.capability == 0)) return false;
  if (line.alignments <= 0 || (line.alignments & ~(4 | 8 | 16)) != 0 || line.widest < 1 || line.largest < 1)
    return false;
  if (!line.rows[0]) return false;
  for (int i = 0; i < SelectionLine::kMostRows && line.rows[i]; ++i) {
    for (int j = 0; j < i; ++j) {
      if (std::string_view(line.rows[i]) == line.rows[j]) return false;
    }
  }
  return line.figures != nullptr;
}

constexpr bool all_well_formed() {
  for (const SelectionLine& line : kSelection) {
    if (!well_formed(line)) return false;
  }
  return true;
}

// Every problem finds a line in every class: one without limits for each mode, padding and alignment.
constexpr bool complete(Device device, int capability) {
  for (const Mode mode : {Mode::infer, Mode::train}) {
    for (const Padding padding : {Padding::same, Padding::valid}) {
      for (const int alignment : {4, 8, 16}) {
        bool found = false;
        for (const SelectionLine& line : kSelection) {
          found |= same_class(line, device, capability) && matches(line, mode, padding, alignment, no_limit, no_limit);
        }
        if (!found) return false;
      }
    }
  }
  return true;
}

constexpr bool all_complete() {
  bool cpu = false, cuda = false;
  for (const SelectionLine& line : kSelection) {
    if (!complete(line.device, line.capability)) return false;
    (line.device == Device::cpu ? cpu : cuda) = true;
  }
  return cpu && cuda;
}

static_assert(all_well_formed(), "selection_table.hpp: a line is damaged; ./suite tune --from writes it anew");
static_assert(all_complete(), "selection_table.hpp: a device, mode, padding or alignment has no line without limits");

// The measured class next to this one: the same major version before others, then the smaller distance.
int nearest_class(Device device, int capability) {
  const auto distance = [&](int other) {
    return std::abs(other - capability) + (other / 10 == capability / 10 ? 0 : 1000);
  };
  int best = -1;
  for (const SelectionLine& line : kSelection) {
    if (line.device == device && (best < 0 || distance(line.capability) < distance(best))) best = line.capability;
  }
  return best;
}

const char* alignment_text(int alignments) {
  switch (alignments) {
    case 4: return "4 bytes";
    case 8: return "8 bytes";
    case 16: return "16 bytes";
    case 4 | 8: return "4 or 8 bytes";
    case 8 | 16: return "8 or 16 bytes";
    case 4 | 16: return "4 or 16 bytes";
    default: return "any boundary";
  }
}

}  // namespace

DeviceClass device_class(Device device) {
  switch (device) {
#if SSIM_WITH_CUDA
    case Device::cuda: return cuda::device_class();
#endif
#if SSIM_WITH_EMULATION
    case Device::cuda_emulated: return cuda_emulated::device_class();
#endif
    default: return {};
  }
}

std::span<const SelectionLine> selection_lines() { return kSelection; }

Decision decide(Device device, const DeviceClass& of, const Problem& problem, Mode mode, int alignment) {
  const Device wanted = table_device(device);
  const int capability = nearest_class(wanted, of.capability);
  const std::int64_t each = (problem.elements() + of.multiprocessors - 1) / of.multiprocessors;
  for (const SelectionLine& line : kSelection) {
    if (same_class(line, wanted, capability) && matches(line, mode, problem.padding, alignment, problem.width, each)) {
      return {&line, capability == of.capability};
    }
  }
  return {};
}

std::string to_string(const SelectionLine& line) {
  const auto of_class = [&] {
    if (line.device == Device::cpu) return std::string("cpu");
    return "cuda " + std::to_string(line.capability / 10) + "." + std::to_string(line.capability % 10);
  };
  std::string text = "entry " + std::to_string(&line - kSelection + 1) + " of kernels/selection_table.hpp (" +
                     of_class() + ", " + to_string(line.mode) + ", " + to_string(line.padding) + ", rows aligned to " +
                     alignment_text(line.alignments);
  if (line.widest != no_limit) text += ", width up to " + std::to_string(line.widest);
  if (line.largest != no_limit) {
    text += ", up to " + std::to_string(line.largest) + " elements" +
            (line.device == Device::cpu ? "" : " a multiprocessor");
  }
  return text + "): " + line.figures;
}

}  // namespace ssim
