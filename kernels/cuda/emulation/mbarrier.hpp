// SPDX-License-Identifier: MIT
// The block's barriers in shared memory. A phase completes when all arrivals and all announced bytes have come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shadow.hpp"

namespace ssim::cuda_emulated::emulation {

class Mbarriers {
 public:
  struct Piece {
    void* to;
    const void* from;  // nullptr: zeros
    std::size_t bytes;
  };
  struct Entry {
    std::size_t offset = 0;  // in shared memory
    unsigned count = 0, pending = 0, phase = 0;
    long long announced = 0, brought = 0;  // bytes of this phase
    SharedShadow::Clocks clocks;
    std::vector<int> waiting;  // threads
    std::vector<Piece> copies;
  };

  void clear() { entries_.clear(); }
  void add(std::size_t offset, unsigned count) {
    entries_.emplace_back();
    entries_.back().offset = offset;
    entries_.back().count = entries_.back().pending = count;
  }
  Entry* find(std::size_t offset);
  std::vector<Entry>& entries() { return entries_; }
  static std::string describe(const Entry& entry);
  /// "" or what a block that has ended left unfinished.
  std::string unbalanced() const;

 private:
  std::vector<Entry> entries_;
};

}  // namespace ssim::cuda_emulated::emulation
