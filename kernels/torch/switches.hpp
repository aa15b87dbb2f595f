// SPDX-License-Identifier: MIT
// What only the rows that time the operator switch, for their own thread; nobody else does.
#pragma once

namespace ssim::op {

/// How an autograd step is made.
/// scale: forward computes value and gradient in one pass and keeps the gradient, backward multiplies it by the factor
/// from above. Keeps one word an element; one pass of 8 bytes an element on top of the kernel.
/// recompute: forward computes the value alone and keeps the images, backward computes the gradient with the factor
/// as its weight. Keeps nothing of its own; the value is computed twice.
enum class Backward { scale, recompute };

struct Switches {
  Backward backward = Backward::scale;
  /// Where gradients lie in place of the allocator's memory; nullptr: there. The contract of a row wants the gradient
  /// in the caller's memory, a training loop adopts whatever tensor autograd returns: so the row pays what the loop
  /// pays, and not a copy of 8 bytes an element on top.
  float* gradient_buffer = nullptr;
};

/// This thread's. A function, because GCC's UBSan takes the address of an extern thread_local for null.
Switches& switches();

/// Frees the workspaces that CUDA calls left for later ones (workspaces.hpp): the next call shows what it takes.
void drop_workspaces();

/// Sets this thread's switches while it lives.
class SwitchScope {
 public:
  explicit SwitchScope(const Switches& wanted) : before_(switches()) { switches() = wanted; }
  ~SwitchScope() { switches() = before_; }
  SwitchScope(const SwitchScope&) = delete;
  SwitchScope& operator=(const SwitchScope&) = delete;

 private:
  Switches before_;
};

}  // namespace ssim::op
