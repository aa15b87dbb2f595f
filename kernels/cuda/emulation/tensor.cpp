// SPDX-License-Identifier: MIT
// Matrix products with a tensor core's rounding.
#include "tensor.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "half.hpp"
#include "worker.hpp"

namespace ssim::cuda_emulated::emulation {
namespace {

constexpr int kKeptBits = 25;  // below the leading bit of the largest term

const float* halves() {
  static const std::vector<float> table = [] {
    std::vector<float> values(65536);
    for (int bits = 0; bits < 65536; ++bits) {
      values[bits] = static_cast<float>(from_half(static_cast<std::uint16_t>(bits)));
    }
    return values;
  }();
  return table.data();
}

// Exponent of the leading bit; of a float's zero and subnormals the smallest.
int exponent(float v) { return std::max(1, static_cast<int>(std::bit_cast<std::uint32_t>(v) >> 23 & 255)) - 127; }

double power_of_two(int e) { return std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52); }

float truncate_to_float(double v) {
  const float rounded = static_cast<float>(v);
  if (std::isinf(rounded) && std::isfinite(v)) return rounded;
  const bool away = std::fabs(static_cast<double>(rounded)) > std::fabs(v);
  return away ? std::nextafter(rounded, 0.0f) : rounded;
}

}  // namespace

void multiply_matrices(int k, const std::uint16_t* a, const std::uint16_t* b, const float* c, float* d) {
  const float* const half = halves();
  float rows[16 * 16], columns[8 * 16];
  for (int i = 0; i < 16 * k; ++i) rows[i] = half[a[i]];
  for (int i = 0; i < k; ++i) {
    for (int n = 0; n < 8; ++n) columns[n * k + i] = half[b[i * 8 + n]];
  }
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 8; ++n) {
      const float start = c[m * 8 + n];
      float product[16], plain = start;
      int largest = exponent(start);
      for (int i = 0; i < k; ++i) {
        product[i] = rows[m * k + i] * columns[n * k + i];  // 22 bits: exact
        plain += product[i];
        if (product[i] != 0) largest = std::max(largest, exponent(product[i]));
      }
      if (!std::isfinite(plain)) {
        d[m * 8 + n] = plain;
        continue;
      }
      // In units of the last kept bit every term is below 2^26 + 1, so that doubles add them exactly.
      const double unit = power_of_two(largest - kKeptBits), scale = power_of_two(kKeptBits - largest);
      double sum = std::trunc(start * scale);
      for (int i = 0; i < k; ++i) sum += std::trunc(product[i] * scale);
      d[m * 8 + n] = truncate_to_float(sum * unit);
    }
  }
}

bool sync_block_or(bool value) {
  bool& vote = Worker::running()->vote;
  vote |= value;
  const Meeting here{"sync_block_or", 0, 0};
  sync_block(here);
  const bool result = vote;
  sync_block(here);
  vote = false;
  sync_block(here);  // before it, nobody votes anew
  return result;
}

void mbarrier_init(void* barrier, unsigned count) { Worker::running()->mbarrier_init(barrier, count); }
void mbarrier_arrive(void* barrier, unsigned bytes) { Worker::running()->mbarrier_arrive(barrier, bytes); }
void mbarrier_wait(void* barrier, unsigned parity) { Worker::running()->mbarrier_wait(barrier, parity); }
void copy_box(void* to_shared, const Box& box, void* barrier) { Worker::running()->copy_box(to_shared, box, barrier); }
void check_access(const void* address, std::size_t bytes, bool write) {
  Worker::running()->access_shared(address, bytes, write);
}

void copy_bulk(void* to_shared, const void* from_global, unsigned bytes, void* barrier) {
  Worker::running()->copy_bulk(to_shared, from_global, bytes, barrier);
}

}  // namespace ssim::cuda_emulated::emulation
