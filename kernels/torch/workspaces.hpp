// SPDX-License-Identifier: MIT
// Workspaces that outlive a call, so that a warm call neither allocates one nor zeroes its control block.
//
// A call takes a workspace of its device and stream, enqueues its work and gives it back; the next call on that stream
// runs behind it on the device, whichever thread makes it. Two threads that enqueue on one stream at the same time hold
// different workspaces. Memory that is dropped goes back to the allocator in the order of its stream.
// Lifetime: until the process ends, at most kMost of at most kLargest bytes each; a call that needs more has its own.
// Calls that are being captured into a CUDA graph must not take any: a graph outlives them and runs on any stream.
#pragma once

#include <c10/core/Allocator.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace ssim::op {

/// Calls of one place follow one another on the device.
struct Place {
  int device = 0;
  void* stream = nullptr;
  bool operator==(const Place&) const = default;
};

/// Memory whose control block is zero.
struct Workspace {
  at::DataPtr memory;
  std::int64_t bytes = 0;
  std::optional<float> weight;  // the number that it holds as a weight, if any
};

class WorkspacePool {
 public:
  static constexpr std::int64_t kLargest = 16 << 20;
  static constexpr std::size_t kMost = 256;

  /// A kept workspace of that place, or none that is as large: then one that is too small has been dropped.
  std::optional<Workspace> take(const Place& place, std::int64_t bytes);
  /// After all work that uses it was enqueued without an error. Drops what is too large, and the oldest of too many.
  void give_back(const Place& place, Workspace workspace);
  void clear();
  std::size_t size() const;

 private:
  struct Entry {
    Place place;
    Workspace workspace;
  };
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // the last one given back is the last
};

}  // namespace ssim::op
