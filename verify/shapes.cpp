// SPDX-License-Identifier: MIT
#include "shapes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "inputs.hpp"

namespace ssim::verify {
namespace {

using Shape = std::array<std::int64_t, 4>;

void add(std::vector<CaseSpec>& list, const Shape& s, Padding padding, const std::string& input_class,
         std::int64_t offset = 0) {
  const Problem problem{.batch = s[0], .channels = s[1], .height = s[2], .width = s[3], .padding = padding};
  if (check(problem)) list.push_back({problem, input_class, offset});
}

}  // namespace

std::vector<CaseSpec> cases(Device device, Padding padding) {
  const bool emulated = device == Device::cuda_emulated;
  std::vector<CaseSpec> list;
  // Every class once on a shape that is a multiple of nothing.
  const Shape odd = emulated ? Shape{1, 1, 19, 37} : Shape{2, 3, 37, 53};
  for (const InputClass& c : input_classes()) add(list, odd, padding, c.name);
  if (!emulated) {
    for (const InputClass& c : input_classes()) add(list, {1, 2, 150, 203}, padding, c.name);
  }
  // Every place of border_place() that there is in such planes; emulated a part of them, another one for each seed.
  for (const char* name : {"local", "impulse"})
    add(list, emulated ? Shape{3, 9, 17, 19} : Shape{9, 9, 24, 40}, padding, name);
  // Smaller than the window in one direction or both.
  for (std::int64_t h = 1; h <= 12; ++h) {
    for (std::int64_t w = 1; w <= 12; ++w) add(list, {1, 1, h, w}, padding, "uniform");
  }
  // Around powers of two, thin ones, primes, channels.
  std::vector<Shape> shapes = {{1, 1, 1, 67},  {1, 1, 67, 1},  {1, 1, 11, 131}, {1, 1, 131, 11}, {3, 1, 13, 17},
                               {1, 4, 23, 29}, {1, 7, 16, 12}, {1, 2, 17, 19},  {1, 3, 19, 23}};
  for (const std::int64_t n : {15, 16, 17, 31, 32, 33}) shapes.push_back({1, 1, n, 96 - n});
  // Planes that fill a block's columns alone or two beside one another, or are a little wider; a narrow last strip.
  for (const Shape& s : {Shape{1, 1, 19, 241},
                         {1, 2, 17, 256},
                         {1, 3, 18, 128},
                         {1, 2, 17, 123},
                         {1, 3, 21, 257},
                         {1, 2, 17, 260},
                         {1, 1, 19, 599}}) {
    shapes.push_back(s);
  }
  // The same for rows that refuse small images or widths that are no multiple of a vector.
  for (const Shape& s : {Shape{1, 1, 43, 48}, {1, 2, 31, 52}, {1, 3, 29, 40}, {1, 4, 23, 36}, {1, 7, 19, 32}}) {
    shapes.push_back(s);
  }
  if (!emulated) {
    for (const std::int64_t n : {63, 64, 65, 127, 128, 129, 255, 256, 257}) shapes.push_back({1, 1, n, 320 - n});
    for (const Shape& s : {Shape{1, 1, 1, 4099},
                           {1, 1, 4099, 1},
                           {1, 1, 12, 2503},
                           {1, 1, 2503, 12},
                           {2, 2, 101, 211},
                           {5, 3, 61, 67},
                           {66000, 1, 3, 2},
                           {70001, 1, 11, 11},
                           {1100, 1, 11, 12},
                           {1100, 1, 12, 11},
                           {1100, 1, 12, 12},
                           {1, 3, 256, 256},
                           {1, 1, 300, 2100}}) {
      shapes.push_back(s);
    }
  }
  // More planes than a grid may have in y and z, for rows that refuse small ones.
  if (device == Device::cuda) shapes.push_back({22000, 3, 16, 16});
  for (const Shape& s : shapes) {
    add(list, s, padding, "uniform");
    if (s[2] * s[3] < 200 * 200) add(list, s, padding, "local");
  }
  // Base pointers that are not aligned to a vector.
  // Together, and one by one: the least aligned decides.
  const std::int64_t offsets[] = {4, 8, 12, kApart | 0x004, kApart | 0x040, kApart | 0x400, kApart | 0xc48};
  for (const std::int64_t offset : offsets) {
    add(list, {1, 2, 31, emulated ? 47 : 83}, padding, "uniform", offset);
    add(list, {1, 1, 32, 64}, padding, "uniform", offset);
  }
  return list;
}

bool for_baselines(const Problem& p) { return p.elements() <= 16000 && p.planes() <= 16; }

std::vector<Seam> seams(const Implementation& row, Mode mode, Padding padding) {
  std::vector<Seam> list;
  const bool emulated = row.device == Device::cuda_emulated;
  const std::int64_t tile_height = row.tile.height, tile_width = row.tile.width;
  const std::int64_t most = emulated ? 1 : 3;  // multiples of the tile
  const auto takes = [&](std::int64_t height, std::int64_t width, Problem& p) {
    p = {.height = height, .width = width, .padding = padding};
    return check(p) && row.supports(p, mode).empty();
  };
  // What the other direction is: neither a tile nor a vector if the row takes that.
  const auto with_other = [&](bool vertical, std::int64_t size, Problem& p) {
    const std::int64_t tile = std::max<std::int64_t>(vertical ? tile_width : tile_height, 1);
    for (const std::int64_t other : {std::min<std::int64_t>(tile, 37) + 3, std::int64_t{44}, tile + 4, 4 * tile + 4}) {
      if (vertical ? takes(size, other, p) : takes(other, size, p)) return true;
    }
    return false;
  };
  for (const bool vertical : {true, false}) {
    const std::int64_t tile = vertical ? tile_height : tile_width;
    if (tile <= 0) continue;
    for (const int side : {-1, 0, 1}) {
      std::int64_t found = 0;
      for (std::int64_t k = 1; k <= 8 && found < most; ++k) {
        for (std::int64_t step = 1; step <= (side == 0 ? 1 : 8); ++step) {
          const std::int64_t size = k * tile + side * step;
          Problem p;
          if (size < 1 || !with_other(vertical, size, p)) continue;
          list.push_back({{p, side == 0 ? "textured" : "uniform"}, vertical, side});
          ++found;
          break;
        }
      }
    }
  }
  return list;
}

}  // namespace ssim::verify
