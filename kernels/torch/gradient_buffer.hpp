// SPDX-License-Identifier: MIT
// For the row `operator` alone: where the operator's next gradients of this thread lie.
//
// The contract wants the gradient in the caller's memory, a training loop adopts whatever tensor autograd returns. So
// that the row pays what the loop pays, and not a copy of 8 bytes an element on top, it lends the caller's memory in
// place of the allocator's. nullptr, as always outside the row: the allocator.
#pragma once

namespace ssim::op {

extern thread_local float* gradient_buffer;

}  // namespace ssim::op
