// SPDX-License-Identifier: MIT
// Scheduling of the lanes of one block, and what ends a launch early.
#include "worker.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

namespace ssim::cuda_emulated {

thread_local constinit uint3 threadIdx;
thread_local constinit uint3 blockIdx;
thread_local constinit dim3 blockDim;
thread_local constinit dim3 gridDim;

namespace emulation {
namespace {

constexpr std::size_t kSharedSpace = 256 * 1024;
static_assert(kSharedSpace >= kMaxSharedBytes);

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char buffer[240];
  va_list list;
  va_start(list, pattern);
  std::vsnprintf(buffer, sizeof buffer, pattern, list);
  va_end(list);
  return buffer;
}

std::string text(const uint3& at) { return format("(%u, %u, %u)", at.x, at.y, at.z); }

std::string text(const Meeting& meeting) {
  if (!meeting.file) return format("sync_roles<%u>", meeting.threads);
  const char* slash = std::strrchr(meeting.file, '/');
  return format("%s:%u", slash ? slash + 1 : meeting.file, meeting.line);
}

}  // namespace

Reservation::Reservation(std::size_t bytes) : bytes_(bytes) {
  constexpr std::size_t kAlignment = 2 * kStackBytes;
  mapping_ = mmap(nullptr, bytes_ + kAlignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  const auto start = reinterpret_cast<std::uintptr_t>(mapping_);
  data_ = reinterpret_cast<char*>((start + kAlignment - 1) / kAlignment * kAlignment);
}

Reservation::~Reservation() { munmap(mapping_, bytes_ + 2 * kStackBytes); }

void Reservation::open(std::size_t offset, std::size_t bytes) {
  if (mprotect(data_ + offset, bytes, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
}

thread_local constinit SSIM_EMULATION_TLS Worker* running_worker = nullptr;

// Shared memory lies in the middle of a reservation as large on each side.
Worker::Worker() : stacks_(kMaxThreads * 2 * kStackBytes), shared_(3 * kSharedSpace) {
  shared_.open(kSharedSpace, kSharedSpace);
}

char* Worker::take_stack() {
  if (free_stacks_.empty()) {
    const std::size_t offset = (2 * static_cast<std::size_t>(opened_stacks_++) + 1) * kStackBytes;
    stacks_.open(offset, kStackBytes);
    return stacks_.data() + offset;
  }
  char* stack = free_stacks_.back();
  free_stacks_.pop_back();
  return stack;
}

void Worker::set_current(Lane& lane) {
  current_ = &lane;
  threadIdx = lane.index;
}

// The next lane that can run: of the current warp if it has one, else of a random warp.
Lane* Worker::pick() {
  if (warp_ < 0 || warps_[warp_].ready == 0) {
    if (ready_warps_ == 0 && !complete_any_phase()) return nullptr;
    const std::uint64_t random = random_();
    const int turn = static_cast<int>(random & 31);
    warp_ = (std::countr_zero(std::rotr(ready_warps_, turn)) + turn) & 31;
    warps_[warp_].descending = random & 32;
  }
  const Warp& warp = warps_[warp_];
  const int lane = warp.descending ? 31 - std::countl_zero(warp.ready) : std::countr_zero(warp.ready);
  return &lanes_[warp_ * kLanes + lane];
}

// Leaves the current lane, which goes on when it is resumed.
void Worker::resume(Lane& next) {
  Lane& previous = *current_;
  if (&next == &previous) return;
  set_current(next);
  if (next.state == State::unstarted) {
    next.stack = take_stack();
    next.state = State::ready;
    make_context(next.context, next.stack, kStackBytes, fiber);
  }
  switch_context(previous.context, next.context);
}

// Runs lanes on one stack for as long as each returns without having waited.
void Worker::fiber() {
  Worker& worker = *running_worker;
  for (;;) {
    const Grid& grid = worker.launch_->grid;
    grid.body(grid.arguments);
    Lane& lane = *worker.current_;
    if (!lane.copies.empty()) {
      worker.fail(("thread returns while " + std::to_string(lane.copies.size()) +
                   " of its asynchronous copies are unfinished; copy_wait<0> is missing")
                      .c_str());
    }
    if (!lane.waited) worker.fail("thread of a kernel launched early returns, and has waited for none");
    lane.state = State::returned;
    ++worker.returned_;
    Warp& warp = worker.warps_[lane.warp];
    warp.ready &= ~(1u << lane.lane);
    if (warp.ready == 0) worker.ready_warps_ &= ~(1u << lane.warp);
    Lane* next = worker.pick();
    char* stack = lane.stack;
    lane.stack = nullptr;
    if (next && next->state == State::unstarted) {
      next->stack = stack;
      next->state = State::ready;
      worker.set_current(*next);
      continue;
    }
    worker.free_stacks_.push_back(stack);
    if (!next) {
      const std::string problem = worker.returned_ < worker.threads_ ? worker.stuck() : worker.mbarriers_.unbalanced();
      if (!problem.empty()) worker.record(problem);
      switch_context(lane.context, worker.main_);
    }
    worker.set_current(*next);
    switch_context(lane.context, next->context);
  }
}

// The current lane is in `state` and not ready any more: run others until it is.
void Worker::wait(State state) {
  Lane& lane = *current_;
  lane.state = state;
  Lane* next = pick();
  if (!next) {
    record(stuck());
    leave();
  }
  resume(*next);
  lane.state = State::ready;
}

void Worker::sync_block(const Meeting& meeting) {
  const auto same_file = [](const char* a, const char* b) { return a == b || (a && b && std::strcmp(a, b) == 0); };
  if (arrived_ == 0) meeting_ = meeting;
  if (meeting.line != meeting_.line || !same_file(meeting.file, meeting_.file)) {
    fail(("the threads of the block meet in different barriers: " + text(meeting) + " here, " + text(meeting_) +
          " in others; sync_roles is the one for that")
             .c_str());
  }
  if (meeting.threads != 0 && meeting.threads != static_cast<unsigned>(threads_)) {
    fail(format("sync_roles<%u> in a block of %d threads", meeting.threads, threads_).c_str());
  }
  Lane& lane = *current_;
  Warp& own = warps_[lane.warp];
  if (++arrived_ == threads_) {
    arrived_ = 0;
    shadow_.sync_block();
    ready_warps_ = 0;
    for (std::size_t w = 0; w < warps_.size(); ++w) {
      warps_[w].ready |= warps_[w].at_barrier;
      warps_[w].at_barrier = 0;
      if (warps_[w].ready) ready_warps_ |= 1u << w;
    }
    warp_ = -1;  // any warp may go on first
    resume(*pick());
    return;
  }
  const std::uint32_t bit = 1u << lane.lane;
  own.ready &= ~bit;
  own.at_barrier |= bit;
  if (own.ready == 0) ready_warps_ &= ~(1u << lane.warp);
  lane.waits_for = meeting.file ? "sync_block" : "sync_roles";
  wait(State::at_barrier);
}

void Worker::warp_collective(const char* what, Complete complete, void* slot) {
  Lane& lane = *current_;
  Warp& warp = warps_[lane.warp];
  const std::uint32_t bit = 1u << lane.lane;
  lane.slot = slot;
  lane.complete = complete;
  lane.waits_for = what;
  warp.at_collective |= bit;
  if (warp.at_collective != warp.exists) {
    warp.ready &= ~bit;
    if (warp.ready == 0) ready_warps_ &= ~(1u << lane.warp);
    wait(State::at_collective);
    return;
  }
  void* slots[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    slots[i] = nullptr;
    if (!(warp.exists >> i & 1)) continue;
    const Lane& other = lanes_[lane.warp * kLanes + i];
    slots[i] = other.slot;
    if (other.complete != complete) {
      fail(("the lanes of a warp meet in different collectives: " + std::string(what) + " here, " + other.waits_for +
            " in thread " + text(other.index))
               .c_str());
    }
  }
  checking_ = false;  // it goes through all lanes' stacks
  complete(slots);
  checking_ = true;
  warp.at_collective = 0;
  warp.ready = warp.exists;
  ready_warps_ |= 1u << lane.warp;
  // Now and then another warp gets in between, so that warps drift apart as they do on a card.
  const std::uint64_t random = random_();
  warp.descending = random & 1;
  if ((random & 14) == 0) warp_ = -1;
  resume(*pick());
}

void Worker::sync_warp() {
  // The last lane to come advances the warp's clock, on behalf of all.
  struct Slot {
    SharedShadow* shadow;
    int warp;
  } slot{&shadow_, current_->warp};
  const auto complete = [](void* const* slots) {
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!slots[lane]) continue;
      const Slot& any = *static_cast<const Slot*>(slots[lane]);
      any.shadow->sync_warp(any.warp);
      return;
    }
  };
  warp_collective("sync_warp", complete, &slot);
}

void Worker::watch(const void* address, std::uint64_t value) {
  constexpr std::uint64_t kPatience = 1 << 20;
  Lane& lane = *current_;
  if (lane.watched != address || lane.watched_value != value) {
    lane.watched = address;
    lane.watched_value = value;
    lane.times_watched = 0;
    return;
  }
  if (++lane.times_watched < 8) return;
  if (lane.times_watched > kPatience) {
    fail(
        format("waits in vain for another value at %s; blocks must not wait for one another", describe(address).c_str())
            .c_str());
  }
  // Any other lane that is ready, of this warp or another.
  const std::uint64_t random = random_();
  const int turn = static_cast<int>(random & 31), lane_turn = static_cast<int>(random >> 5 & 31);
  warp_ = (std::countr_zero(std::rotr(ready_warps_, turn)) + turn) & 31;
  const int other = (std::countr_zero(std::rotr(warps_[warp_].ready, lane_turn)) + lane_turn) & 31;
  resume(lanes_[warp_ * kLanes + other]);
}

// Why no lane can run: who waits where, who has returned.
std::string Worker::stuck() const {
  int barrier = 0, collective = 0, phase = 0;
  const Lane *in_barrier = nullptr, *in_collective = nullptr, *in_phase = nullptr, *gone = nullptr;
  for (const Lane& lane : lanes_) {
    if (lane.state == State::at_barrier) ++barrier, in_barrier = in_barrier ? in_barrier : &lane;
    if (lane.state == State::at_collective) ++collective, in_collective = in_collective ? in_collective : &lane;
    if (lane.state == State::at_mbarrier) ++phase, in_phase = in_phase ? in_phase : &lane;
    if (lane.state == State::returned) gone = gone ? gone : &lane;
  }
  std::string message = "deadlock:";
  const auto add = [&](int count, const Lane* example, const char* where) {
    if (count == 0) return;
    message += format(" %d of %d threads wait in %s (%s%s),", count, threads_, where, text(example->index).c_str(),
                      count > 1 ? ", ..." : "");
  };
  add(barrier, in_barrier, in_barrier ? in_barrier->waits_for : "");
  add(collective, in_collective, in_collective ? in_collective->waits_for : "");
  add(phase, in_phase, "mbarrier_wait");
  if (returned_ > 0) {
    message += format(" %d have returned (%s%s),", returned_, text(gone->index).c_str(), returned_ > 1 ? ", ..." : "");
  }
  message.back() = ';';
  if (in_phase) {
    const Mbarriers::Entry* entry = const_cast<Mbarriers&>(mbarriers_).find(in_phase->waits_at);
    return message + " " + (entry ? Mbarriers::describe(*entry) : "the mbarrier is gone");
  }
  return message + (collective ? " all lanes of the warp must reach it" : " all threads of the block must reach it");
}

void Worker::record(const std::string& message) {
  const std::lock_guard lock(launch_->mutex);
  if (launch_->failed.exchange(true)) return;
  launch_->message = "kernel " + std::string(launch_->grid.name) + ", block " + text(blockIdx) + ", thread " +
                     text(threadIdx) + ": " + message + " [seed " + std::to_string(seed()) + "]";
}

// Back to run_block, never to return: the lanes of the block stay where they are and are forgotten.
void Worker::leave() {
  switch_context(current_->context, main_);
  __builtin_unreachable();
}

void Worker::fail(const char* message) {
  record(message);
  leave();
  __builtin_unreachable();
}

void Worker::fail_race(const SharedShadow::Race& race, bool write) {
  fail(format("race in shared memory: %s byte %zu, which thread %s %s with no barrier between them",
              write ? "writes" : "reads", race.offset, text(lanes_[race.thread].index).c_str(),
              race.was_write ? "writes" : "reads")
           .c_str());
}

void Worker::fail_alignment(const void* address, std::size_t bytes, bool write) {
  fail(format("misaligned %s of %zu bytes at %s", write ? "write" : "read", bytes, describe(address).c_str()).c_str());
}

void Worker::access_shared(const void* address, std::size_t bytes, bool write) {
  const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - shared_base_);
  if (offset >= launch_->grid.shared_bytes || bytes > launch_->grid.shared_bytes - offset) {
    fail(format("asynchronous copy of %zu bytes to %s", bytes, describe(address).c_str()).c_str());
  }
  access(address, bytes, write);
}

// Neither shared memory nor the running stack nor where accesses went lately.
void Worker::access_elsewhere(const void* address, std::size_t bytes, bool write) {
  bool forbidden = false;
  const auto a = reinterpret_cast<std::uintptr_t>(address);
  Region allowed = find_region(*launch_->regions, a, bytes, &forbidden);
  const char* verb = write ? "write" : "read";
  if (forbidden || shared_.contains(address)) {
    fail(format("%s of %zu bytes at %s", verb, bytes, describe(address).c_str()).c_str());
  }
  if (stacks_.contains(address)) {
    fail(format("%s of %zu bytes of another thread's local memory, address %p", verb, bytes, address).c_str());
  }
  if (!current_->waited) {
    if (emulation::describe(*launch_->regions, a).empty()) return;  // nobody else's: the kernel's parameters
    fail(
        format("%s of %zu bytes at %s before wait_for_kernels_before", verb, bytes, describe(address).c_str()).c_str());
  }
  unknown_ = address;
  if (allowed.end <= allowed.begin) return;
  for (const Region& own : {stacks_.region(), shared_.region()}) {
    if (own.end <= a) allowed.begin = std::max(allowed.begin, own.end);
    if (own.begin > a) allowed.end = std::min(allowed.end, own.begin);
  }
  recent_[next_recent_++ % std::size(recent_)] = allowed;
}

void* Worker::shared_memory(std::size_t bytes) {
  if (bytes > launch_->grid.shared_bytes) {
    fail(("shared memory of " + std::to_string(bytes) + " bytes is used, the launch gave " +
          std::to_string(launch_->grid.shared_bytes))
             .c_str());
  }
  return shared_base_;
}

std::string Worker::describe(const void* address) const {
  if (shared_.contains(address)) {
    return format("byte %td of the block's %zu bytes of shared memory",
                  static_cast<const char*>(address) - shared_base_, launch_->grid.shared_bytes);
  }
  if (stacks_.contains(address)) {
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - stacks_.data());
    if (offset / kStackBytes % 2 == 0) return "the end of a thread's stack: local arrays are too large";
    return format("address %p, a thread's local memory", address);
  }
  const std::string region = emulation::describe(*launch_->regions, reinterpret_cast<std::uintptr_t>(address));
  return format("address %p", address) + (region.empty() ? "" : ", " + region);
}

void Worker::run_block(std::uint64_t block) {
  const Grid& grid = launch_->grid;
  blockDim = grid.block;
  gridDim = grid.grid;
  blockIdx.x = static_cast<unsigned>(block % grid.grid.x);
  blockIdx.y = static_cast<unsigned>(block / grid.grid.x % grid.grid.y);
  blockIdx.z = static_cast<unsigned>(block / grid.grid.x / grid.grid.y);
  random_.state = launch_->seed ^ (block * 0xd1342543de82ef95u);
  std::memset(shared_base_, 0xff, grid.shared_bytes);

  const std::size_t warps = (static_cast<std::size_t>(threads_) + kLanes - 1) / kLanes;
  warps_.assign(warps, {});
  lanes_.resize(warps * kLanes);
  for (int t = 0; t < threads_; ++t) {
    Lane& lane = lanes_[t];
    lane.index = {t % grid.block.x, t / grid.block.x % grid.block.y, t / grid.block.x / grid.block.y};
    lane.warp = t / kLanes;
    lane.lane = t % kLanes;
    lane.state = State::unstarted;
    lane.waited = !grid.early;
    lane.copies.clear();
    lane.open_group = 0;
    lane.watched = nullptr;
    warps_[lane.warp].exists |= 1u << lane.lane;
  }
  lanes_.resize(threads_);
  for (Warp& warp : warps_) warp.ready = warp.exists;
  ready_warps_ = static_cast<std::uint32_t>((std::uint64_t{1} << warps) - 1);
  arrived_ = returned_ = 0;
  vote = false;
  warp_ = -1;
  mbarriers_.clear();
  shadow_.begin_block(grid.shared_bytes, static_cast<int>(warps));

  Lane& first = *pick();
  set_current(first);
  first.stack = take_stack();
  first.state = State::ready;
  make_context(first.context, first.stack, kStackBytes, fiber);
  running_worker = this;
  checking_ = true;
  switch_context(main_, first.context);
  checking_ = false;
  running_worker = nullptr;
  current_ = nullptr;
  if (static_cast<int>(free_stacks_.size()) != opened_stacks_) {  // after a failure
    free_stacks_.clear();
    for (int i = 0; i < opened_stacks_; ++i) free_stacks_.push_back(stacks_.data() + (2 * i + 1) * kStackBytes);
  }
}

void Worker::run(Launch& launch) {
  launch_ = &launch;
  const Grid& grid = launch.grid;
  threads_ = static_cast<int>(grid.block.x * grid.block.y * grid.block.z);
  // Its end lies at the guard page, as near as the alignment of 128 bytes allows.
  shared_base_ = shared_.data() + 2 * kSharedSpace - (grid.shared_bytes + 127) / 128 * 128;
  std::fill(std::begin(recent_), std::end(recent_), Region{});
  while (!launch.failed.load(std::memory_order_relaxed)) {
    const std::uint64_t i = launch.next.fetch_add(1);
    if (i >= launch.blocks) break;
    run_block(static_cast<std::uint64_t>(
        (static_cast<unsigned __int128>(i) * launch.order_factor + launch.order_offset) % launch.blocks));
  }
  launch_ = nullptr;
}

}  // namespace emulation
}  // namespace ssim::cuda_emulated
