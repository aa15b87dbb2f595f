// SPDX-License-Identifier: MIT
// Finds races in shared memory: two accesses to the same bytes by different threads, one of them a write, with no
// synchronisation in between. Whether the emulation happened to run them in a harmless order does not matter.
//
// Method: vector clocks, as in FastTrack (Flanagan, Freund, PLDI 2009), with one clock a warp. A warp's clock advances
// at each of its synchronisations; seen[w][v] is how far warp w knows of warp v. Each four bytes remember their last
// writer and two readers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace ssim::cuda_emulated::emulation {

class SharedShadow {
 public:
  static constexpr int kWarps = 32;

  /// Whose access it was that the present one races with; thread < 0: none.
  struct Race {
    int thread = -1;
    bool was_write = false;
    std::size_t offset = 0;
  };

  /// What a synchronisation object knows of each warp.
  struct Clocks {
    std::uint32_t of[kWarps] = {};
  };

  void begin_block(std::size_t bytes, int warps);
  /// Threads are numbered within the block, 32 a warp.
  Race touch(std::size_t offset, std::size_t bytes, bool write, int thread) {
    return bytes == 4 && offset % 4 == 0 ? touch_cell(offset / 4, 0xf, write, thread)
                                         : touch_any(offset, bytes, write, thread);
  }
  void sync_warp(int warp) { synced_[warp] = clock_[warp] = ++time_; }
  void sync_block();
  /// What the warp did so far happens before whatever acquires the object's clocks afterwards.
  void release(int warp, Clocks& object);
  void acquire(int warp, const Clocks& object);

 private:
  struct Entry {
    std::uint32_t clock = 0;
    std::uint16_t thread = 0;
    std::uint16_t bytes = 0;  // which of the four, one bit each
  };
  struct Cell {
    Entry writer, reader[2];
  };

  bool ordered(const Entry& before, int thread) const {
    if (before.clock <= floor_ || before.thread == thread) return true;
    const unsigned v = before.thread / 32u, w = static_cast<unsigned>(thread) / 32u;
    return v == w ? before.clock < synced_[w] : before.clock <= seen_[w][v];
  }
  static void mark(Entry& entry, std::uint32_t clock, int thread, unsigned bytes) {
    const bool same = entry.thread == thread && entry.clock == clock;
    entry = {clock, static_cast<std::uint16_t>(thread), static_cast<std::uint16_t>(same ? entry.bytes | bytes : bytes)};
  }

  Race touch_any(std::size_t offset, std::size_t bytes, bool write, int thread);
  Race touch_cell(std::size_t i, unsigned mask, bool write, int thread) {
    Cell& cell = cells_[i];
    const auto races = [&](const Entry& e) { return (e.bytes & mask) && !ordered(e, thread); };
    if (races(cell.writer)) return {cell.writer.thread, true, i * 4};
    const std::uint32_t clock = clock_[static_cast<unsigned>(thread) / 32u];
    if (write) {
      for (const Entry& reader : cell.reader) {
        if (races(reader)) return {reader.thread, false, i * 4};
      }
      mark(cell.writer, clock, thread, mask);
    } else {
      // A reader that everyone knows of need not be kept; of more than two that matter the last is.
      mark(cell.reader[ordered(cell.reader[0], thread) ? 0 : 1], clock, thread, mask);
    }
    return {};
  }

  std::vector<Cell> cells_;
  int warps_ = 0;
  std::uint32_t time_ = 0;
  std::uint32_t floor_ = 0;  // up to here every warp knows of every warp: the last barrier of the block
  std::uint32_t clock_[kWarps] = {};
  std::uint32_t synced_[kWarps] = {};  // what a warp's lanes did before this is known to all of them
  std::uint32_t seen_[kWarps][kWarps] = {};
};

}  // namespace ssim::cuda_emulated::emulation
