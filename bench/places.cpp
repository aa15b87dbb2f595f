// SPDX-License-Identifier: MIT
#include "places.hpp"

#include <new>
#include <utility>

namespace ssim::bench {
namespace {

constexpr std::int64_t kShare = 16;  // of the free memory: rows that need much of it are to have it

}  // namespace

Places::Places(const verify::Case& original, int count, std::int64_t free_bytes) : offset_(original.offset()) {
  const std::int64_t bytes = original.problem().elements() * static_cast<std::int64_t>(sizeof(float));
  for (int i = 1; i < count && 3 * bytes * i <= free_bytes / kShare; ++i) {
    Copy copy;
    try {
      copy.x = verify::Memory(original.device(), bytes, offset_);
      copy.y = verify::Memory(original.device(), bytes, offset_);
    } catch (const std::bad_alloc&) {
      break;
    }
    copy.x.upload(original.x());
    copy.y.upload(original.y());
    copies_.push_back(std::move(copy));
  }
  verify::synchronize(original.device());
}

void Places::add_gradients() {
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    Copy& copy = copies_[i];
    if (copy.gradient.bytes() > 0) continue;
    try {
      copy.gradient = verify::Memory(copy.x.device(), copy.x.bytes(), offset_);
    } catch (const std::bad_alloc&) {
      copies_.resize(i);
    }
  }
}

std::vector<Arguments> Places::of(const Arguments& arguments) const {
  std::vector<Arguments> all{arguments};
  for (const Copy& copy : copies_) {
    Arguments& there = all.emplace_back(arguments);
    there.x = copy.x.as<const float>();
    there.y = copy.y.as<const float>();
    if (arguments.grad_x) there.grad_x = copy.gradient.as<float>();
  }
  return all;
}

}  // namespace ssim::bench
