// SPDX-License-Identifier: MIT
// A bounded delay on the device, and the probe of the SM clock in one kernel; and a spin that counts cycles, for
// planted slow-downs shorter than the global timer's tick.
//
// Idea: while one thread waits for the global timer, the host enqueues the operation behind it, so that the operation's
// time holds no launch latency. It ends by the clock, not by a flag of the host, so it cannot deadlock. Cycles over
// nanoseconds of that wait are the SM clock. Cost: the wait.
#include "gpu_kernels.hpp"

namespace ssim::bench {
namespace {

__device__ long long global_nanoseconds() {
  long long value;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(value));
  return value;
}

__global__ void wait_for(long long nanoseconds, long long most_cycles, ClockReading* reading) {
  // Begin at a tick: the timer advances in steps of up to a microsecond.
  const long long first = global_nanoseconds();
  const long long first_cycle = clock64();
  long long begin = first;
  while (begin == first && clock64() - first_cycle < most_cycles) begin = global_nanoseconds();
  const long long begin_cycle = clock64();
  long long now = begin, cycle = begin_cycle;
  while (now - begin < nanoseconds && cycle - begin_cycle < most_cycles) {
    now = global_nanoseconds();
    cycle = clock64();
  }
  if (reading) {
    reading->cycles = cycle - begin_cycle;
    reading->nanoseconds = now - begin;
  }
}

__global__ void run_for(long long cycles) {
  const long long begin = clock64();
  while (clock64() - begin < cycles) {
  }
}

}  // namespace

cudaError_t spin(std::int64_t cycles, cudaStream_t stream) {
  run_for<<<1, 1, 0, stream>>>(cycles);
  return cudaGetLastError();
}

cudaError_t delay(std::int64_t nanoseconds, ClockReading* reading, cudaStream_t stream) {
  // No GPU runs at 5 GHz: the bound on cycles matters only where the timer stands still.
  wait_for<<<1, 1, 0, stream>>>(nanoseconds, nanoseconds * 5 + 20000, reading);
  return cudaGetLastError();
}

bool device_debug_build() {
#if defined(__CUDACC_DEBUG__)
  return true;
#else
  return false;
#endif
}

}  // namespace ssim::bench
