// SPDX-License-Identifier: MIT
// Row by row over threads; rows are then joined in order, so the result does not depend on the threads.
#include "compare.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "parallel.hpp"

namespace ssim::verify {
namespace {

void join(Comparison& into, const Comparison& from) {
  if (from.index >= 0 && (into.index < 0 || from.worst > into.worst)) {
    into.worst = from.worst;
    into.index = from.index;
    into.got = from.got;
    into.want = from.want;
  }
  into.corner = std::max(into.corner, from.corner);
  into.edge = std::max(into.edge, from.edge);
  into.interior = std::max(into.interior, from.interior);
  into.exceeding += from.exceeding;
}

Comparison compare_row(const Problem& p, const float* got, const double* want, double scale, double limit,
                       std::int64_t line) {
  Comparison result;
  const std::int64_t row = line % p.height;
  for (std::int64_t c = 0; c < p.width; ++c) {
    const std::int64_t i = line * p.width + c;
    const double is = static_cast<double>(got[i]), should = scale * want[i];
    double error = std::abs(is - should);
    if (!(error <= std::numeric_limits<double>::max())) error = std::numeric_limits<double>::infinity();
    if (result.index < 0 || error > result.worst) {
      result.worst = error;
      result.index = i;
      result.got = is;
      result.want = should;
    }
    const Region where = region(p, row, c);
    double& of_region = where == Region::corner ? result.corner : where == Region::edge ? result.edge : result.interior;
    of_region = std::max(of_region, error);
    if (!(error <= limit)) ++result.exceeding;
  }
  return result;
}

constexpr std::int64_t kLines = 64;  // rows that a thread takes at a time

}  // namespace

Comparison compare(const Problem& problem, const float* got, const double* want, double scale, double limit) {
  const std::int64_t lines = problem.planes() * problem.height, chunks = (lines + kLines - 1) / kLines;
  std::vector<Comparison> of_chunk(static_cast<std::size_t>(chunks));
  parallel_for(chunks, useful_threads(8.0 * static_cast<double>(problem.elements())), [&](std::int64_t chunk, int) {
    for (std::int64_t line = chunk * kLines; line < std::min(lines, (chunk + 1) * kLines); ++line) {
      join(of_chunk[static_cast<std::size_t>(chunk)], compare_row(problem, got, want, scale, limit, line));
    }
  });
  Comparison all;
  for (const Comparison& c : of_chunk) join(all, c);
  return all;
}

std::string place(const Problem& p, std::int64_t index) {
  const std::int64_t plane = index / p.plane_size(), row = index % p.plane_size() / p.width, column = index % p.width;
  const Region where = region(p, row, column);
  return "image " + std::to_string(plane / p.channels) + ", channel " + std::to_string(plane % p.channels) + ", row " +
         std::to_string(row) + ", column " + std::to_string(column) +
         (where == Region::corner ? " (corner)"
          : where == Region::edge ? " (edge)"
                                  : " (interior)");
}

Size size_of(const double* values, std::int64_t count) {
  Size total;
  for (std::int64_t first = 0; first < count; first += 4096) {
    double sum = 0;
    for (std::int64_t i = first; i < std::min(count, first + 4096); ++i) {
      sum += values[i] * values[i];
      total.peak = std::max(total.peak, std::abs(values[i]));
    }
    total.squares += sum;
  }
  return total;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  const auto bits = [](float v) { return std::bit_cast<std::uint32_t>(v); };
  return std::ranges::equal(a, b, {}, bits, bits);
}

std::uint64_t fingerprint(const float* values, std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += fingerprint_of(std::bit_cast<std::uint32_t>(values[i]), i);
  return sum;
}

}  // namespace ssim::verify
