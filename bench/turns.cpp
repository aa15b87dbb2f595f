// SPDX-License-Identifier: MIT
#include "turns.hpp"

#include <unistd.h>

#include <csignal>

#include "cpu_timer.hpp"

namespace ssim::bench {

Turns::Turns(int in, int out) : in_(in), out_(out) { std::signal(SIGPIPE, SIG_IGN); }

double Turns::next() {
  if (in_ < 0) return 0;
  const double begin = steady_seconds();
  char byte = 'w';
  if (write(out_, &byte, 1) != 1 || read(in_, &byte, 1) == 0) in_ = -1;
  return steady_seconds() - begin;
}

}  // namespace ssim::bench
