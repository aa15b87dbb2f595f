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
  floor_ = time_++;
  std::fill(std::begin(clock_), std::end(clock_), time_);
  std::fill(std::begin(synced_), std::end(synced_), time_);
}

SharedShadow::Race SharedShadow::touch_any(std::size_t offset, std::size_t bytes, bool write, int thread) {
  const std::size_t first = offset / 4, last = (offset + bytes - 1) / 4;
  for (std::size_t i = first; i <= last; ++i) {
    unsigned mask = 0xf;
    if (i == first) mask &= 0xfu << (offset % 4);
    if (i == last) mask &= 0xfu >> (3 - (offset + bytes - 1) % 4);
    if (const Race race = touch_cell(i, mask, write, thread); race.thread >= 0) return race;
  }
  return {};
}

void SharedShadow::sync_block() {
  for (int w = 0; w < warps_; ++w) std::memcpy(seen_[w], clock_, sizeof clock_);
  floor_ = time_++;
  std::fill(std::begin(clock_), std::end(clock_), time_);
  std::fill(std::begin(synced_), std::end(synced_), time_);
}

void SharedShadow::release(int warp, Clocks& object) {
  for (int v = 0; v < warps_; ++v) object.of[v] = std::max(object.of[v], seen_[warp][v]);
  object.of[warp] = clock_[warp];
  clock_[warp] = ++time_;
}

void SharedShadow::acquire(int warp, const Clocks& object) {
  for (int v = 0; v < warps_; ++v) seen_[warp][v] = std::max(seen_[warp][v], object.of[v]);
  synced_[warp] = std::max(synced_[warp], object.of[warp] + 1);
}

}  // namespace ssim::cuda_emulated::emulation
