// SPDX-License-Identifier: MIT
// A parallel loop on plain threads: verification code uses no OpenMP, so that it cannot disturb (or hide behind) the
// runtime that the rows use.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace ssim::verify {

/// Threads that a loop with `work` operations in all is worth.
inline int useful_threads(double work) {
  const double cores = std::max(1u, std::thread::hardware_concurrency());
  return static_cast<int>(std::clamp(work / 2e6, 1.0, cores));
}

/// body(i, thread) for 0 <= i < count, thread < threads. An exception of a body is thrown here again.
template <typename Body>
void parallel_for(std::int64_t count, int threads, const Body& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex lock;
  const auto work = [&](int thread) {
    try {
      for (std::int64_t i; (i = next.fetch_add(1)) < count;) body(i, thread);
    } catch (...) {
      const std::lock_guard guard(lock);
      failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) pool.emplace_back(work, t);
  work(0);
  for (std::thread& t : pool) t.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace ssim::verify
