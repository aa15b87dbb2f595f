// SPDX-License-Identifier: MIT
#include "workspaces.hpp"

#include <algorithm>
#include <utility>

namespace ssim::op {

std::optional<Workspace> WorkspacePool::take(const Place& place, std::int64_t bytes) {
  Workspace found;
  {
    const std::lock_guard lock(mutex_);
    const auto last =
        std::find_if(entries_.rbegin(), entries_.rend(), [&](const Entry& e) { return e.place == place; });
    if (last == entries_.rend()) return std::nullopt;
    found = std::move(last->workspace);
    entries_.erase(std::next(last).base());
  }
  if (found.bytes < bytes) return std::nullopt;
  return found;
}

void WorkspacePool::give_back(const Place& place, Workspace workspace) {
  if (workspace.bytes > kLargest) return;
  Entry oldest;  // freed when the lock is not held
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMost) {
    oldest = std::move(entries_.front());
    entries_.erase(entries_.begin());
  }
  entries_.push_back({place, std::move(workspace)});
}

void WorkspacePool::clear() {
  std::vector<Entry> dropped;  // freed when the lock is not held
  const std::lock_guard lock(mutex_);
  dropped.swap(entries_);
}

std::size_t WorkspacePool::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace ssim::op
