// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>

#include "places.hpp"

namespace ssim::bench {
namespace {

constexpr std::int64_t kPlenty = std::int64_t{1} << 40;
const Problem kProblem{.batch = 1, .channels = 2, .height = 12, .width = 20};
const std::int64_t kBytes = kProblem.elements() * static_cast<std::int64_t>(sizeof(float));

verify::Case a_case(std::int64_t offset = 0) { return {Device::cpu, kProblem, "uniform", 7, offset}; }

Arguments arguments_of(const verify::Case& original, float* gradient) {
  return {.x = original.x(), .y = original.y(), .grad_x = gradient};
}

TEST(Places, EachHasTheImagesInMemoryOfItsOwn) {
  const verify::Case original = a_case(8);
  Places places(original, 4, kPlenty);
  places.add_gradients();
  float first = 0;
  const std::vector<Arguments> all = places.of(arguments_of(original, &first));
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(places.count(), 4);
  EXPECT_EQ(all[0].x, original.x());
  EXPECT_EQ(all[0].grad_x, &first);
  std::set<const void*> pointers;
  for (const Arguments& there : all) {
    for (const void* pointer : {static_cast<const void*>(there.x), static_cast<const void*>(there.y),
                                static_cast<const void*>(there.grad_x)}) {
      EXPECT_TRUE(pointers.insert(pointer).second);
    }
    EXPECT_EQ(std::memcmp(there.x, original.x(), static_cast<std::size_t>(kBytes)), 0);
    EXPECT_EQ(std::memcmp(there.y, original.y(), static_cast<std::size_t>(kBytes)), 0);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(there.x) % 256, 8u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(there.y) % 256, 8u);
    if (there.grad_x != &first) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(there.grad_x) % 256, 8u);
    }
  }
}

TEST(Places, InferenceHasNoGradients) {
  const verify::Case original = a_case();
  const std::vector<Arguments> all = Places(original, 3, kPlenty).of(arguments_of(original, nullptr));
  ASSERT_EQ(all.size(), 3u);
  for (const Arguments& there : all) EXPECT_EQ(there.grad_x, nullptr);
}

// A sixteenth of what is free, for two images and a gradient each.
TEST(Places, AreAsManyAsFit) {
  const verify::Case original = a_case();
  EXPECT_EQ(Places(original, 1, kPlenty).count(), 1);
  EXPECT_EQ(Places(original, 4, 0).count(), 1);
  EXPECT_EQ(Places(original, 4, 16 * 3 * kBytes - 1).count(), 1);
  EXPECT_EQ(Places(original, 4, 16 * 3 * kBytes).count(), 2);
  EXPECT_EQ(Places(original, 4, 16 * 6 * kBytes).count(), 3);
}

}  // namespace
}  // namespace ssim::bench
