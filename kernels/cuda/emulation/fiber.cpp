// SPDX-License-Identifier: MIT
#include "fiber.hpp"

#if defined(__x86_64__) && !defined(SSIM_PORTABLE_FIBERS)
// System V ABI: rbx, rbp and r12-r15 belong to the caller. The floating-point control words are never changed here.
asm(R"(
.text
.p2align 4
.globl ssim_emulation_switch
.hidden ssim_emulation_switch
.type ssim_emulation_switch,@function
ssim_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ssim_emulation_switch,.-ssim_emulation_switch
)");
#endif
