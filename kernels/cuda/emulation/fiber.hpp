// SPDX-License-Identifier: MIT
// Contexts of execution that one host thread switches between: a stack and where it was left. On x86-64 by a few
// instructions of our own, elsewhere (or with SSIM_PORTABLE_FIBERS) by ucontext, which costs a system call a switch.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) || defined(SSIM_PORTABLE_FIBERS)
#include <ucontext.h>
#endif

namespace ssim::cuda_emulated::emulation {

#if defined(__x86_64__) && !defined(SSIM_PORTABLE_FIBERS)

/// Where a context was left: its stack pointer, the registers that a call must keep lie above it.
struct Context {
  void* stack_pointer = nullptr;
};

// Six pushes and a jump; about 2 ns. Hidden, so that it is called directly.
extern "C" [[gnu::visibility("hidden")]] void ssim_emulation_switch(void** save, void* load);

inline void switch_context(Context& from, const Context& to) {
  ssim_emulation_switch(&from.stack_pointer, to.stack_pointer);
}

/// Makes a context that runs entry() on this stack when it is switched to. entry must not return.
inline void make_context(Context& context, void* stack, std::size_t bytes, void (*entry)()) {
  void** top = reinterpret_cast<void**>(static_cast<char*>(stack) + bytes);
  *--top = nullptr;  // what entry would return to; keeps the alignment of a called function
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context.stack_pointer = top;
}

#else

struct Context {
  ucontext_t state;
};

inline void switch_context(Context& from, const Context& to) { swapcontext(&from.state, &to.state); }

inline void make_context(Context& context, void* stack, std::size_t bytes, void (*entry)()) {
  getcontext(&context.state);
  context.state.uc_stack.ss_sp = stack;
  context.state.uc_stack.ss_size = bytes;
  context.state.uc_link = nullptr;
  makecontext(&context.state, entry, 0);
}

#endif

}  // namespace ssim::cuda_emulated::emulation
