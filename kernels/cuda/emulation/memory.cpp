// SPDX-License-Identifier: MIT
#include "memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <new>

#include "regions.hpp"

namespace ssim::cuda_emulated {
namespace {

using emulation::Region;
using emulation::Regions;

std::mutex mutex;

// Replaced as a whole, so that running launches keep the table that they began with.
std::shared_ptr<const Regions>& table() {
  static auto* const instance = new std::shared_ptr<const Regions>(std::make_shared<Regions>());
  return *instance;
}

void insert(std::vector<Region> Regions::*list, Region region) {
  const std::lock_guard lock(mutex);
  auto next = std::make_shared<Regions>(*table());
  auto& regions = (*next).*list;
  regions.insert(std::upper_bound(regions.begin(), regions.end(), region,
                                  [](const Region& a, const Region& b) { return a.begin < b.begin; }),
                 region);
  table() = std::move(next);
}

// The erased region, or {}.
Region erase(std::vector<Region> Regions::*list, std::uintptr_t begin) {
  const std::lock_guard lock(mutex);
  auto next = std::make_shared<Regions>(*table());
  auto& regions = (*next).*list;
  const auto found = std::find_if(regions.begin(), regions.end(), [&](const Region& r) { return r.begin == begin; });
  if (found == regions.end()) return {};
  const Region region = *found;
  regions.erase(found);
  table() = std::move(next);
  return region;
}

std::size_t page_size() {
  static const std::size_t size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

// A forbidden page in front; what follows the payload in its last page belongs to the allocation too.
std::size_t mapped(std::size_t bytes) {
  return (bytes + page_size() - 1) / page_size() * page_size() + 2 * page_size();
}

std::uintptr_t number(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

// The last region that begins at or before the address, or nullptr.
const Region* at_or_before(const std::vector<Region>& regions, std::uintptr_t address) {
  const auto after = std::upper_bound(regions.begin(), regions.end(), address,
                                      [](std::uintptr_t a, const Region& r) { return a < r.begin; });
  return after == regions.begin() ? nullptr : &*(after - 1);
}

// The registered region within kVicinity bytes of the address that is nearest, or nullptr.
const Region* near(const Regions& table, std::uintptr_t address) {
  const Region* before = at_or_before(table.registered, address);
  const Region* after = before ? before + 1 : table.registered.data();
  if (after == table.registered.data() + table.registered.size()) after = nullptr;
  const std::uintptr_t past = before && address >= before->end ? address - before->end : 0;
  const std::uintptr_t ahead = after ? after->begin - address : kVicinity + 1;
  if (before && past < kVicinity && past <= ahead) return before;
  return after && ahead <= kVicinity ? after : nullptr;
}

}  // namespace

void* allocate(std::size_t bytes) {
  void* mapping = mmap(nullptr, mapped(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  char* const start = static_cast<char*>(mapping) + page_size();
  const std::size_t usable = mapped(bytes) - 2 * page_size();
  try {
    if (usable > 0 && mprotect(start, usable, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    insert(&Regions::allocated, {number(start), number(start) + usable});
  } catch (...) {
    munmap(mapping, mapped(bytes));
    throw;
  }
  return start;
}

void release(void* allocation) noexcept {
  if (!allocation) return;
  const Region region = erase(&Regions::allocated, number(allocation));
  munmap(static_cast<char*>(allocation) - page_size(), region.end - region.begin + 2 * page_size());
}

void register_memory(const void* payload, std::size_t bytes) {
  insert(&Regions::registered, {number(payload), number(payload) + bytes});
}

void forget_memory(const void* payload) noexcept { erase(&Regions::registered, number(payload)); }

namespace emulation {

std::shared_ptr<const Regions> regions() {
  const std::lock_guard lock(mutex);
  return table();
}

Region find_region(const Regions& table, std::uintptr_t address, std::size_t bytes, bool* forbidden) {
  *forbidden = false;
  if (const Region* region = at_or_before(table.registered, address); region && address + bytes <= region->end) {
    return *region;
  }
  const Region* allocation = at_or_before(table.allocated, address);
  *forbidden = (allocation && address < allocation->end) || near(table, address) || near(table, address + bytes - 1);
  if (*forbidden) return {};
  Region gap{0, ~std::uintptr_t{0}};
  for (const auto* list : {&table.registered, &table.allocated}) {
    const Region* before = at_or_before(*list, address);
    const Region* after = before ? before + 1 : list->data();
    if (before) gap.begin = std::max(gap.begin, before->end + kVicinity);
    if (after != list->data() + list->size()) gap.end = std::min(gap.end, after->begin - kVicinity);
  }
  return gap;
}

std::size_t bytes_before(const Regions& table, std::uintptr_t address) {
  constexpr std::uintptr_t kGranule = 16;
  const std::uintptr_t end = address / kGranule * kGranule + kGranule;
  const Region* region = at_or_before(table.registered, end - 1);
  return region && region->begin > address ? region->begin - address : 0;
}

std::string describe(const Regions& table, std::uintptr_t address) {
  const Region* region = near(table, address);
  if (!region) return "";
  const std::size_t size = region->end - region->begin;
  char text[160];
  if (address < region->begin) {
    std::snprintf(text, sizeof text, "%zu bytes before the %zu bytes at 0x%zx",
                  static_cast<std::size_t>(region->begin - address), size, static_cast<std::size_t>(region->begin));
  } else if (address < region->end) {
    std::snprintf(text, sizeof text, "byte %zu of the %zu bytes at 0x%zx",
                  static_cast<std::size_t>(address - region->begin), size, static_cast<std::size_t>(region->begin));
  } else {
    std::snprintf(text, sizeof text, "%zu bytes past the end of the %zu bytes at 0x%zx",
                  static_cast<std::size_t>(address - region->end), size, static_cast<std::size_t>(region->begin));
  }
  return text;
}

}  // namespace emulation
}  // namespace ssim::cuda_emulated
