// SPDX-License-Identifier: MIT
// What primitives_tensor_host.hpp stands on: matrix products as a tensor core rounds them, barriers in shared memory,
// copies that are made by somebody else than the threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ssim::cuda_emulated::emulation {

/// d[16][8] = a[16][k] * b[k][8] + c; a and b as fp16 bits, k = 8 or 16. Products are exact; they and c are cut off
/// (not rounded) 25 bits below the leading bit of the largest of them, added, and the sum is cut off to fp32: the model
/// of Hopper's tensor cores in Fasi, Higham, Mikaitis, Pranesh (PeerJ Comput. Sci. 7:e330, 2021, for earlier ones),
/// which a comparison with a card has to confirm.
void multiply_matrices(int k, const std::uint16_t* a, const std::uint16_t* b, const float* c, float* d);

bool sync_block_or(bool value);

void mbarrier_init(void* barrier, unsigned count);
void mbarrier_arrive(void* barrier, unsigned bytes);
void mbarrier_wait(void* barrier, unsigned parity);

/// A box of floats, `planes` to `columns` the size of the whole tensor.
struct Box {
  const float* base;
  std::int64_t planes, rows, columns, pitch;
  int box_rows, box_columns;
  int plane, row, column;  // of its first element
};
void copy_box(void* to_shared, const Box& box, void* barrier);
void copy_bulk(void* to_shared, const void* from_global, unsigned bytes, void* barrier);

/// Checks an access that a collective makes on behalf of the running thread.
void check_access(const void* address, std::size_t bytes, bool write);

}  // namespace ssim::cuda_emulated::emulation
