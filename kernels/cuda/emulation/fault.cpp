// SPDX-License-Identifier: MIT
// A fault in a kernel (a guard page, a null pointer) ends the launch with a message instead of the process.
#include <signal.h>
#include <sys/mman.h>

#include <mutex>

#include "worker.hpp"

namespace ssim::cuda_emulated::emulation {
namespace {

constexpr std::size_t kSignalStackBytes = 64 * 1024;

struct sigaction previous_segv, previous_bus;

// Runs on its own stack, in the host thread that faulted. SA_NODEFER: nothing stays masked when it never returns.
void handle(int signal, siginfo_t* info, void*) {
  if (Worker* worker = Worker::running()) {
    // An address that no machine has (x86-64: not in canonical form) is reported as null, by the kernel itself.
    const void* address = info->si_addr || info->si_code != SI_KERNEL ? info->si_addr : worker->unknown();
    worker->fail(("illegal access to " + worker->describe(address)).c_str());
  }
  // Not ours: as it was before; the instruction faults again when this returns.
  sigaction(signal, signal == SIGBUS ? &previous_bus : &previous_segv, nullptr);
}

void install() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
  });
}

}  // namespace

FaultHandler::FaultHandler() {
  install();
  stack_t current = {};
  sigaltstack(nullptr, &current);
  if (!(current.ss_flags & SS_DISABLE)) return;  // the thread has one
  void* mapping = mmap(nullptr, kSignalStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return;
  stack_ = mapping;
  stack_t mine = {};
  mine.ss_sp = stack_;
  mine.ss_size = kSignalStackBytes;
  sigaltstack(&mine, nullptr);
}

FaultHandler::~FaultHandler() {
  if (!stack_) return;
  stack_t off = {};
  off.ss_flags = SS_DISABLE;
  sigaltstack(&off, nullptr);
  munmap(stack_, kSignalStackBytes);
}

}  // namespace ssim::cuda_emulated::emulation
