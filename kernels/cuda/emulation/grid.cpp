// SPDX-License-Identifier: MIT
// Launching: checks of the configuration, the seed, the order of the blocks, host threads.
#include "grid.hpp"

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "worker.hpp"

namespace ssim::cuda_emulated::emulation {
namespace {

std::mutex launches_lock;
std::set<std::pair<std::string, const void*>> launched_kernels;

// Workers keep their stacks from launch to launch.
class Pool {
 public:
  std::unique_ptr<Worker> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Worker>();
    auto worker = std::move(free_.back());
    free_.pop_back();
    return worker;
  }
  void give(std::unique_ptr<Worker> worker) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(worker));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> free_;
};

Pool& pool() {
  static Pool* const instance = new Pool;  // never destroyed: launches may come from static destructors
  return *instance;
}

void work(Launch& launch) {
  auto worker = pool().take();
  {
    const FaultHandler handler;
    worker->run(launch);
  }
  pool().give(std::move(worker));
}

Status check(const Grid& grid) {
  const auto refuse = [&](const char* what, unsigned long long given, const char* allowed) {
    return Status::error(Status::Code::device_error, "kernel %s: %s = %llu, allowed is %s", grid.name, what, given,
                         allowed);
  };
  const struct {
    const char* name;
    unsigned long long value, limit;
    const char* allowed;
  } limits[] = {{"grid.x", grid.grid.x, 2147483647, "1 ... 2147483647"}, {"grid.y", grid.grid.y, 65535, "1 ... 65535"},
                {"grid.z", grid.grid.z, 65535, "1 ... 65535"},           {"block.x", grid.block.x, 1024, "1 ... 1024"},
                {"block.y", grid.block.y, 1024, "1 ... 1024"},           {"block.z", grid.block.z, 64, "1 ... 64"}};
  for (const auto& limit : limits) {
    if (limit.value < 1 || limit.value > limit.limit) return refuse(limit.name, limit.value, limit.allowed);
  }
  const unsigned long long threads = 1ull * grid.block.x * grid.block.y * grid.block.z;
  if (threads > 1024) return refuse("threads of a block", threads, "1 ... 1024");
  if (grid.shared_bytes > kMaxSharedBytes) return refuse("shared_bytes", grid.shared_bytes, "0 ... 232448");
  return {};
}

unsigned host_threads() {
  static const unsigned threads = [] {
    const char* given = std::getenv("SSIM_EMULATION_THREADS");
    const int count = given ? std::atoi(given) : 0;
    return count > 0 ? static_cast<unsigned>(count) : std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
  }();
  return threads;
}

}  // namespace

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    if (const char* given = std::getenv("SSIM_EMULATION_SEED"); given && *given) {
      return static_cast<std::uint64_t>(std::strtoull(given, nullptr, 10));
    }
    const std::uint64_t fresh = std::random_device{}();
    std::fprintf(stderr, "CUDA emulation: SSIM_EMULATION_SEED=%llu repeats this order of warps and blocks\n",
                 static_cast<unsigned long long>(fresh));
    return fresh;
  }();
  return value;
}

std::set<std::pair<std::string, const void*>> launched() {
  const std::lock_guard guard(launches_lock);
  return launched_kernels;
}

Status run(const Grid& grid) {
  if (Status status = check(grid); !status) return status;
  {
    const std::lock_guard guard(launches_lock);
    launched_kernels.emplace(grid.name, grid.kernel);
  }
  static std::atomic<std::uint64_t> launches{0};
  Random random{seed() + 0x632be59bd9b4e019u * launches.fetch_add(1)};
  Launch launch{grid, static_cast<std::uint64_t>(grid.grid.x) * grid.grid.y * grid.grid.z};
  launch.seed = random();
  launch.regions = regions();
  launch.order_offset = random() % launch.blocks;
  do {
    launch.order_factor = random() % launch.blocks + 1;
  } while (std::gcd(launch.order_factor, launch.blocks) != 1);

  const auto helpers = static_cast<unsigned>(std::min<std::uint64_t>(host_threads(), launch.blocks / 2));
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < helpers; ++i) threads.emplace_back(work, std::ref(launch));
  work(launch);
  for (std::thread& thread : threads) thread.join();
  if (!launch.failed) return {};
  return Status::error(Status::Code::device_error, "%s", launch.message.c_str());
}

void* shared_memory(std::size_t bytes) { return Worker::running()->shared_memory(bytes); }

void sync_block(const Meeting& meeting) { Worker::running()->sync_block(meeting); }

void warp_collective(const char* what, Complete complete, void* slot) {
  Worker::running()->warp_collective(what, complete, slot);
}

void fail(const char* format, ...) {
  char message[200];
  va_list list;
  va_start(list, format);
  std::vsnprintf(message, sizeof message, format, list);
  va_end(list);
  Worker::running()->fail(message);
}

void copy_async(void* to_shared, const void* from_global, int bytes, bool inside) {
  Lane& lane = Worker::running()->lane();
  const auto misaligned = [&](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % bytes != 0; };
  if (misaligned(to_shared)) fail("copy_async<%d>: destination %p is not aligned to %d bytes", bytes, to_shared, bytes);
  if (misaligned(from_global)) fail("copy_async<%d>: source %p is not aligned to %d bytes", bytes, from_global, bytes);
  Worker& worker = *Worker::running();
  worker.access_shared(to_shared, static_cast<std::size_t>(bytes), true);
  if (inside) worker.access(from_global, static_cast<std::size_t>(bytes), false);
  std::memset(to_shared, 0xff, bytes);
  lane.copies.push_back({to_shared, inside ? from_global : nullptr, bytes, lane.open_group});
}

void wait_for_kernels_before() { Worker::running()->lane().waited = true; }

void copy_commit() { ++Worker::running()->lane().open_group; }

void copy_wait(int pending) {
  Lane& lane = Worker::running()->lane();
  const int finished = lane.open_group - pending;  // groups before this one
  std::size_t done = 0;
  for (; done < lane.copies.size() && lane.copies[done].group < finished; ++done) {
    const Copy& copy = lane.copies[done];
    Worker::running()->access_shared(copy.to, static_cast<std::size_t>(copy.bytes), true);
    if (copy.from) {
      std::memcpy(copy.to, copy.from, copy.bytes);
    } else {
      std::memset(copy.to, 0, copy.bytes);
    }
  }
  lane.copies.erase(lane.copies.begin(), lane.copies.begin() + done);
}

void sync_warp() { Worker::running()->sync_warp(); }

double load_global(const double* pointer) {
  Worker& worker = *Worker::running();
  worker.access(pointer, sizeof *pointer, false);
  std::uint64_t bits;
  __atomic_load(reinterpret_cast<const std::uint64_t*>(pointer), &bits, __ATOMIC_ACQUIRE);
  worker.watch(pointer, bits);
  return std::bit_cast<double>(bits);
}

unsigned long long atomic_add(unsigned long long* word, unsigned long long value) {
  return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
}

unsigned long long atomic_or(unsigned long long* word, unsigned long long bits) {
  return __atomic_fetch_or(word, bits, __ATOMIC_ACQ_REL);
}

}  // namespace ssim::cuda_emulated::emulation
