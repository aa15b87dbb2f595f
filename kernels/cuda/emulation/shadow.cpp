// SPDX-License-Identifier: MIT
#include "shadow.hpp"

#include <algorithm>

namespace ssim::cuda_emulated::emulation {

void SharedShadow::begin_block(std::size_t bytes, int warps) {
  warps_ = warps;
  if (cells_.size() < (bytes + 3) / 4) cells_.resize((bytes + 3) / 4);
  if (time_ > 0x80000000u) {
    std::fill(cells_.begin(), cells_.end(), Cell{});
    time_ = 0;
  }
  // What earlier blocks did lies in the past of every warp.
  for (auto& row : seen_) std::fill(std::begin(row), std::end(row), time_);
  ++time_;
  std::fill(std::begin(clock_), std::end(clock_), time_);
}

void SharedShadow::mark(Entry& entry, std::uint32_t clock, int thread, unsigned bytes) {
  const bool same = entry.thread == thread && entry.clock == clock;
  entry = {clock, static_cast<std::uint16_t>(thread), static_cast<std::uint16_t>(same ? entry.bytes | bytes : bytes)};
}

SharedShadow::Race SharedShadow::touch(std::size_t offset, std::size_t bytes, bool write, int thread) {
  const std::uint32_t clock = clock_[thread / 32];
  const std::size_t first = offset / 4, last = (offset + bytes - 1) / 4;
  for (std::size_t i = first; i <= last; ++i) {
    unsigned mask = 0xf;
    if (i == first) mask &= 0xfu << (offset % 4);
    if (i == last) mask &= 0xfu >> (3 - (offset + bytes - 1) % 4);
    Cell& cell = cells_[i];
    const auto races = [&](const Entry& e) { return (e.bytes & mask) && !ordered(e, thread); };
    if (races(cell.writer)) return {cell.writer.thread, true, i * 4};
    if (write) {
      for (const Entry& reader : cell.reader) {
        if (races(reader)) return {reader.thread, false, i * 4};
      }
      mark(cell.writer, clock, thread, mask);
    } else {
      // A reader that everyone knows of need not be kept; of more than two that matter the last is.
      Entry& slot = ordered(cell.reader[0], thread) ? cell.reader[0] : cell.reader[1];
      mark(slot, clock, thread, mask);
    }
  }
  return {};
}

void SharedShadow::sync_block() {
  for (int w = 0; w < warps_; ++w) std::memcpy(seen_[w], clock_, sizeof clock_);
  ++time_;
  std::fill(std::begin(clock_), std::end(clock_), time_);
}

void SharedShadow::release(int warp, Clocks& object) {
  for (int v = 0; v < warps_; ++v) object.of[v] = std::max(object.of[v], seen_[warp][v]);
  object.of[warp] = clock_[warp];
  clock_[warp] = ++time_;
}

void SharedShadow::acquire(int warp, const Clocks& object) {
  for (int v = 0; v < warps_; ++v) seen_[warp][v] = std::max(seen_[warp][v], object.of[v]);
}

}  // namespace ssim::cuda_emulated::emulation
