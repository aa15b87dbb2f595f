// SPDX-License-Identifier: MIT
// One host thread's share of a grid: the block that it runs now, thread by thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "fiber.hpp"
#include "grid.hpp"
#include "mbarrier.hpp"
#include "regions.hpp"
#include "shadow.hpp"
#include "tensor.hpp"

namespace ssim::cuda_emulated::emulation {

/// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): one 64-bit state, any seed is good.
struct Random {
  std::uint64_t state;
  std::uint64_t operator()() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
};

/// What all workers of a launch share.
struct Launch {
  Launch(const Grid& grid_, std::uint64_t blocks_) : grid(grid_), blocks(blocks_) {}
  const Grid& grid;
  std::uint64_t blocks;
  std::uint64_t order_factor = 1, order_offset = 0;  // block i of the order is (i * factor + offset) mod blocks
  std::uint64_t seed = 0;
  std::shared_ptr<const Regions> regions;
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::string message;  // of the first failure; guarded by mutex
};

/// Stacks have this size and alignment, so that an address on the running stack is known by its upper bits.
inline constexpr std::size_t kStackBytes = 128 * 1024;
inline constexpr int kMaxThreads = 1024;

/// Address space that faults except where it was opened, all of it freed at the end.
class Reservation {
 public:
  explicit Reservation(std::size_t bytes);
  ~Reservation();
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  /// Makes these bytes readable and writable; both numbers are multiples of the page size.
  void open(std::size_t offset, std::size_t bytes);
  char* data() const { return data_; }  // a multiple of 2 * kStackBytes
  Region region() const {
    return {reinterpret_cast<std::uintptr_t>(data_), reinterpret_cast<std::uintptr_t>(data_) + bytes_};
  }
  bool contains(const void* address) const {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(data_) < bytes_;
  }

 private:
  void* mapping_ = nullptr;
  char* data_ = nullptr;
  std::size_t bytes_ = 0;
};

struct Copy {
  void* to;
  const void* from;  // nullptr: zeros
  int bytes;
  int group;
};

enum class State : std::uint8_t { unstarted, ready, at_barrier, at_collective, at_mbarrier, returned };

/// One CUDA thread.
struct Lane {
  Context context;
  char* stack = nullptr;  // while started and not returned
  uint3 index;
  int warp = 0, lane = 0;
  State state = State::unstarted;
  bool waited = true;  // for the kernels before; nobody need unless the launch is early
  const char* waits_for = nullptr;
  std::size_t waits_at = 0;  // of an mbarrier: where in shared memory
  Complete complete = nullptr;
  void* slot = nullptr;
  std::vector<Copy> copies;  // not yet made, oldest first
  int open_group = 0;        // number of the group that copies go into now
  const void* watched = nullptr;
  std::uint64_t watched_value = 0, times_watched = 0;
};

struct Warp {
  std::uint32_t exists = 0, ready = 0, at_barrier = 0, at_collective = 0;
  bool descending = false;  // order in which its lanes run
};

class Worker {
 public:
  Worker();

  /// Runs blocks of the launch until there are none left or one has failed.
  void run(Launch& launch);

  // --- called on a lane's stack ---
  void sync_block(const Meeting& meeting);
  void warp_collective(const char* what, Complete complete, void* slot);
  void sync_warp();
  bool vote = false;  // of sync_block_or; false again when all threads have read it
  void mbarrier_init(void* barrier, unsigned count);
  void mbarrier_arrive(void* barrier, unsigned bytes);
  void mbarrier_wait(void* barrier, unsigned parity);
  void copy_box(void* to, const Box& box, void* barrier);
  void copy_bulk(void* to, const void* from, unsigned bytes, void* barrier);
  /// Called at each read that could be a thread's waiting for another one: the same value from the same address again
  /// and again lets others run, and in the end is an error.
  void watch(const void* address, std::uint64_t value);
  [[noreturn]] void fail(const char* text);
  [[noreturn]] void fail_alignment(const void* address, std::size_t bytes, bool write);
  void* shared_memory(std::size_t bytes);
  Lane& lane() { return *current_; }
  /// Checks an access that the lane is about to make; defined below because it is called for every load and store.
  void access(const void* address, std::size_t bytes, bool write);
  /// The part of `access` for an asynchronous copy's destination, which must be shared memory.
  void access_shared(const void* address, std::size_t bytes, bool write);

  /// The worker of this host thread while one of its lanes runs, else nullptr.
  static Worker* running();
  /// The address of the access that faulted, where the machine does not give it.
  const void* unknown() const { return unknown_; }
  /// What an address is to the current block: "shared memory", "the thread's stack", ... For messages.
  std::string describe(const void* address) const;

 private:
  static void fiber();
  void run_block(std::uint64_t block);
  Lane* pick();
  void resume(Lane& next);
  void wait(State state);
  void leave();
  void set_current(Lane& lane);
  std::string stuck() const;
  void record(const std::string& text);
  char* take_stack();
  Mbarriers::Entry& find_mbarrier(void* barrier);
  bool complete_phase(Mbarriers::Entry& entry);
  bool complete_any_phase();
  void start_copy(char* to, std::size_t bytes, std::vector<Mbarriers::Piece> pieces, void* barrier);
  void access_elsewhere(const void* address, std::size_t bytes, bool write);
  [[noreturn]] void fail_race(const SharedShadow::Race& race, bool write);

  Launch* launch_ = nullptr;
  Random random_{0};
  std::vector<Lane> lanes_;
  std::vector<Warp> warps_;
  std::uint32_t ready_warps_ = 0;
  int threads_ = 0, arrived_ = 0, returned_ = 0;
  Meeting meeting_;  // of those that have arrived
  int warp_ = -1;    // that runs now
  Lane* current_ = nullptr;
  Context main_;
  Reservation stacks_;  // one every 2 * kStackBytes, the lower half of each faults
  int opened_stacks_ = 0;
  std::vector<char*> free_stacks_;
  Reservation shared_;
  char* shared_base_ = nullptr;
  SharedShadow shadow_;
  Mbarriers mbarriers_;
  bool checking_ = false;          // off while the emulation itself works on a lane's stack
  const void* unknown_ = nullptr;  // the last address that was seen to be in none of the known places
  Region recent_[8];               // where accesses went lately, all of it allowed
  unsigned next_recent_ = 0;
};

/// See Worker::running(). A plain variable, because it is read at every load and store of a kernel.
extern thread_local constinit SSIM_EMULATION_TLS Worker* running_worker;
inline Worker* Worker::running() { return running_worker; }

inline void Worker::access(const void* address, std::size_t bytes, bool write) {
  if (!checking_) return;
  const auto a = reinterpret_cast<std::uintptr_t>(address);
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if ((a ^ here) / kStackBytes == 0) return;
  const std::size_t offset = a - reinterpret_cast<std::uintptr_t>(shared_base_);
  const std::size_t shared_bytes = launch_->grid.shared_bytes;
  if (offset < shared_bytes && bytes <= shared_bytes - offset) {
    const auto race = shadow_.touch(offset, bytes, write, current_->warp * kLanes + current_->lane);
    if (race.thread >= 0) fail_race(race, write);
    return;
  }
  if (current_->waited) {
    for (const Region& region : recent_) {
      if (a >= region.begin && a + bytes <= region.end) return;
    }
  }
  access_elsewhere(address, bytes, write);
}

/// Makes faults on guard pages end the launch with a message, on this host thread, while it lives.
class FaultHandler {
 public:
  FaultHandler();
  ~FaultHandler();

 private:
  void* stack_ = nullptr;
};

}  // namespace ssim::cuda_emulated::emulation
