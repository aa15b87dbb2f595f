// SPDX-License-Identifier: MIT
// The pool of workspaces that the LibTorch operator keeps on CUDA; with memory of the host, which it does not look at.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/torch/workspaces.hpp"

namespace ssim::op {
namespace {

std::atomic<int> living = 0;

Workspace make(std::int64_t bytes) {
  ++living;
  const auto free = [](void* memory) {
    delete static_cast<char*>(memory);
    --living;
  };
  void* memory = new char;
  return {at::DataPtr(memory, memory, free, at::kCPU), bytes, std::nullopt};
}

void* stream(std::uintptr_t number) { return reinterpret_cast<void*>(number); }

TEST(Workspaces, NoneAtFirst) {
  WorkspacePool pool;
  EXPECT_FALSE(pool.take({0, stream(1)}, 0));
}

TEST(Workspaces, TheSameOnceMore) {
  WorkspacePool pool;
  Workspace workspace = make(1000);
  workspace.weight = -0.2f;
  const void* address = workspace.memory.get();
  pool.give_back({0, stream(1)}, std::move(workspace));
  const auto again = pool.take({0, stream(1)}, 1000);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->memory.get(), address);
  EXPECT_EQ(again->bytes, 1000);
  EXPECT_EQ(again->weight, -0.2f);
  EXPECT_EQ(pool.size(), 0u);
}

TEST(Workspaces, NoneOfAnotherStreamOrDevice) {
  WorkspacePool pool;
  pool.give_back({0, stream(1)}, make(1000));
  EXPECT_FALSE(pool.take({0, stream(2)}, 10));
  EXPECT_FALSE(pool.take({1, stream(1)}, 10));
  EXPECT_TRUE(pool.take({0, stream(1)}, 10));
}

TEST(Workspaces, TooSmallIsDropped) {
  const int before = living;
  WorkspacePool pool;
  pool.give_back({0, stream(1)}, make(1000));
  EXPECT_FALSE(pool.take({0, stream(1)}, 1001));
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_EQ(living, before);
}

TEST(Workspaces, TooLargeIsNotKept) {
  const int before = living;
  WorkspacePool pool;
  pool.give_back({0, stream(1)}, make(WorkspacePool::kLargest));
  pool.give_back({0, stream(2)}, make(WorkspacePool::kLargest + 1));
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_EQ(living, before + 1);
}

TEST(Workspaces, TheOldestOfTooManyGoes) {
  const int before = living;
  WorkspacePool pool;
  for (std::uintptr_t i = 0; i <= WorkspacePool::kMost; ++i) pool.give_back({0, stream(i + 1)}, make(100));
  EXPECT_EQ(pool.size(), WorkspacePool::kMost);
  EXPECT_EQ(living, before + static_cast<int>(WorkspacePool::kMost));
  EXPECT_FALSE(pool.take({0, stream(1)}, 1));
  EXPECT_TRUE(pool.take({0, stream(2)}, 1));
  EXPECT_TRUE(pool.take({0, stream(WorkspacePool::kMost + 1)}, 1));
}

TEST(Workspaces, ClearFreesAll) {
  const int before = living;
  WorkspacePool pool;
  pool.give_back({0, stream(1)}, make(100));
  pool.give_back({0, stream(2)}, make(100));
  pool.clear();
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_EQ(living, before);
  EXPECT_FALSE(pool.take({0, stream(1)}, 1));
}

TEST(Workspaces, ThreadsNeverHoldTheSame) {
  WorkspacePool pool;
  std::mutex mutex;
  std::map<const void*, int> held;
  std::atomic<bool> shared = false;
  const auto work = [&](std::uintptr_t number) {
    const Place place{0, stream(1 + number % 2)};
    for (int i = 0; i < 5000; ++i) {
      std::optional<Workspace> mine = pool.take(place, 100);
      if (!mine) mine = make(100);
      {
        const std::lock_guard lock(mutex);
        if (++held[mine->memory.get()] != 1) shared = true;
      }
      std::this_thread::yield();
      {
        const std::lock_guard lock(mutex);
        --held[mine->memory.get()];
      }
      pool.give_back(place, std::move(*mine));
    }
  };
  std::vector<std::thread> threads;
  for (std::uintptr_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(shared);
  EXPECT_LE(pool.size(), 4u);
  EXPECT_GE(pool.size(), 2u);
}

}  // namespace
}  // namespace ssim::op
