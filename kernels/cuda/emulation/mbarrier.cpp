// SPDX-License-Identifier: MIT
// Barriers in shared memory and the copies that count for them. A copy is made when its phase completes, which is when
// somebody waits for it or, as often, when nothing else in the block can run; until then NaN stands at its destination.
#include "mbarrier.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "worker.hpp"

namespace ssim::cuda_emulated::emulation {
namespace {

// What an initialised barrier holds in shared memory, so that overwriting it shows.
constexpr std::uint64_t kMagic = 0x5b3a221e0badba11u;

std::string format(const char* pattern, std::size_t at, long long a, long long b) {
  char text[200];
  std::snprintf(text, sizeof text, pattern, at, a, b);
  return text;
}

}  // namespace

std::string Mbarriers::describe(const Entry& entry) {
  char text[120];
  std::snprintf(text, sizeof text, "mbarrier at byte %zu, phase %u: %u of %u arrivals, %lld of %lld bytes",
                entry.offset, entry.phase, entry.count - entry.pending, entry.count, entry.brought, entry.announced);
  return text;
}

std::string Mbarriers::unbalanced() const {
  for (const Entry& entry : entries_) {
    const bool started = entry.pending != entry.count || entry.brought || entry.announced;
    if (started) return "the block ends with an unbalanced barrier: " + describe(entry);
  }
  return "";
}

Mbarriers::Entry* Mbarriers::find(std::size_t offset) {
  for (Entry& entry : entries_) {
    if (entry.offset == offset) return &entry;
  }
  return nullptr;
}

void Worker::mbarrier_init(void* barrier, unsigned count) {
  access_shared(barrier, 8, true);
  const auto offset = static_cast<std::size_t>(static_cast<char*>(barrier) - shared_base_);
  if (offset % 8 != 0) fail(("mbarrier at byte " + std::to_string(offset) + " is not aligned to 8 bytes").c_str());
  if (count < 1 || count > (1u << 20) - 1)
    fail(format("mbarrier at byte %zu: count %lld of 1 ... %lld", offset, count, (1 << 20) - 1).c_str());
  std::memcpy(barrier, &kMagic, 8);
  if (Mbarriers::Entry* entry = mbarriers_.find(offset)) {
    *entry = Mbarriers::Entry{};
    entry->offset = offset;
    entry->count = entry->pending = count;
    return;
  }
  mbarriers_.add(offset, count);
}

Mbarriers::Entry& Worker::find_mbarrier(void* barrier) {
  access_shared(barrier, 8, false);
  const auto offset = static_cast<std::size_t>(static_cast<char*>(barrier) - shared_base_);
  Mbarriers::Entry* entry = mbarriers_.find(offset);
  if (!entry) fail(("byte " + std::to_string(offset) + " of shared memory is no initialised mbarrier").c_str());
  if (std::memcmp(barrier, &kMagic, 8) != 0) {
    fail(("the mbarrier at byte " + std::to_string(offset) + " was overwritten").c_str());
  }
  return *entry;
}

// Ends the phase if all has come: makes its copies, wakes who waits.
bool Worker::complete_phase(Mbarriers::Entry& entry) {
  if (entry.pending > 0 || entry.brought < entry.announced) return false;
  if (entry.brought > entry.announced) {
    fail(("copies bring more than was announced: " + Mbarriers::describe(entry)).c_str());
  }
  for (const Mbarriers::Piece& piece : entry.copies) {
    if (piece.from) {
      std::memcpy(piece.to, piece.from, piece.bytes);
    } else {
      std::memset(piece.to, 0, piece.bytes);
    }
  }
  entry.copies.clear();
  entry.pending = entry.count;
  entry.announced = entry.brought = 0;
  ++entry.phase;
  for (const int thread : entry.waiting) {
    warps_[thread / kLanes].ready |= 1u << (thread % kLanes);
    ready_warps_ |= 1u << (thread / kLanes);
  }
  entry.waiting.clear();
  return true;
}

// No thread can run: now the hardware is done with some copy that threads wait for, if it ever will be.
bool Worker::complete_any_phase() {
  for (Mbarriers::Entry& entry : mbarriers_.entries()) {
    if (!entry.waiting.empty() && complete_phase(entry)) return true;
  }
  return false;
}

void Worker::mbarrier_arrive(void* barrier, unsigned bytes) {
  Mbarriers::Entry& entry = find_mbarrier(barrier);
  if (entry.pending == 0 && !complete_phase(entry)) {
    fail(("more arrivals than the barrier counts: " + Mbarriers::describe(entry)).c_str());
  }
  shadow_.release(current_->warp, entry.clocks);
  entry.announced += bytes;
  --entry.pending;
  // Without copies there is nothing to put off.
  if (entry.copies.empty() || (!entry.waiting.empty() && random_() & 1)) complete_phase(entry);
}

void Worker::mbarrier_wait(void* barrier, unsigned parity) {
  if (parity > 1) fail(("mbarrier_wait: parity " + std::to_string(parity) + " is neither 0 nor 1").c_str());
  Mbarriers::Entry* entry = &find_mbarrier(barrier);
  if ((entry->phase & 1) == parity && (entry->copies.empty() || random_() & 1)) complete_phase(*entry);
  if ((entry->phase & 1) == parity) {
    Lane& lane = *current_;
    Warp& warp = warps_[lane.warp];
    entry->waiting.push_back(lane.warp * kLanes + lane.lane);
    warp.ready &= ~(1u << lane.lane);
    if (warp.ready == 0) ready_warps_ &= ~(1u << lane.warp);
    lane.waits_for = "mbarrier_wait";
    lane.waits_at = entry->offset;
    wait(State::at_mbarrier);
    entry = &find_mbarrier(barrier);
  }
  shadow_.acquire(current_->warp, entry->clocks);
}

// The part of every hardware copy: poison now, bytes for the barrier, the rest later.
void Worker::start_copy(char* to, std::size_t bytes, std::vector<Mbarriers::Piece> pieces, void* barrier) {
  Mbarriers::Entry& entry = find_mbarrier(barrier);
  std::memset(to, 0xff, bytes);
  for (const Mbarriers::Piece& piece : pieces) entry.copies.push_back(piece);
  entry.brought += static_cast<long long>(bytes);
  shadow_.release(current_->warp, entry.clocks);  // who waits for the barrier may read and overwrite what it brings
  if (!entry.waiting.empty() && random_() & 1) complete_phase(entry);
}

void Worker::copy_bulk(void* to, const void* from, unsigned bytes, void* barrier) {
  if (reinterpret_cast<std::uintptr_t>(to) % 16 || reinterpret_cast<std::uintptr_t>(from) % 16 || bytes % 16) {
    char text[160];
    std::snprintf(text, sizeof text, "copy_bulk: to %p, from %p, %u bytes must be multiples of 16", to, from, bytes);
    fail(text);
  }
  if (bytes == 0) return;
  access_shared(to, bytes, true);
  access(from, bytes, false);
  start_copy(static_cast<char*>(to), bytes, {{to, from, bytes}}, barrier);
}

void Worker::copy_box(void* to, const Box& box, void* barrier) {
  if (reinterpret_cast<std::uintptr_t>(to) % 128) {
    char text[120];
    std::snprintf(text, sizeof text, "copy_box: destination %p is not aligned to 128 bytes", to);
    fail(text);
  }
  if (box.column % 4) {
    char text[120];
    std::snprintf(text, sizeof text, "copy_box: column %d is not a multiple of 16 bytes", box.column);
    fail(text);
  }
  const std::size_t row_bytes = static_cast<std::size_t>(box.box_columns) * sizeof(float);
  const std::size_t bytes = row_bytes * static_cast<std::size_t>(box.box_rows);
  access_shared(to, bytes, true);
  std::vector<Mbarriers::Piece> pieces;
  const std::int64_t first = std::clamp<std::int64_t>(-box.column, 0, box.box_columns);  // inside columns of the box
  const std::int64_t last = std::clamp<std::int64_t>(box.columns - box.column, first, box.box_columns);
  for (int r = 0; r < box.box_rows; ++r) {
    char* row = static_cast<char*>(to) + static_cast<std::size_t>(r) * row_bytes;
    pieces.push_back({row, nullptr, row_bytes});
    const std::int64_t image_row = static_cast<std::int64_t>(box.row) + r;
    if (box.plane < 0 || box.plane >= box.planes || image_row < 0 || image_row >= box.rows || last <= first) continue;
    const float* from = box.base + (box.plane * box.rows + image_row) * box.pitch + box.column + first;
    const std::size_t inside = static_cast<std::size_t>(last - first) * sizeof(float);
    char* at = row + static_cast<std::size_t>(first) * sizeof(float);
    // Copies go by 16 bytes: what lies before memory that begins within such a piece may come along, and be anything.
    static constexpr float kAnything[4] = {NAN, NAN, NAN, NAN};
    const std::size_t before =
        std::min(inside, bytes_before(*launch_->regions, reinterpret_cast<std::uintptr_t>(from)));
    pieces.push_back({at, kAnything, before});
    from = reinterpret_cast<const float*>(reinterpret_cast<const char*>(from) + before);
    if (before < inside) access(from, inside - before, false);
    pieces.push_back({at + before, from, inside - before});
  }
  start_copy(static_cast<char*>(to), bytes, std::move(pieces), barrier);
}

}  // namespace ssim::cuda_emulated::emulation
