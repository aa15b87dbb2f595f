// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "cpu_timer.hpp"

namespace ssim::bench {
namespace {

constexpr double kTerminalPeriod = 0.1, kPlainPeriod = 15;

}  // namespace

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}
ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::show(int done, int total, const std::string& what, double seconds_left) {
  const double now = steady_seconds();
  if (now - last_ < (terminal_ ? kTerminalPeriod : kPlainPeriod)) return;
  last_ = now;
  const int left = static_cast<int>(seconds_left + 0.5);
  char head[64];
  std::snprintf(head, sizeof head, "[%d/%d] at most %d:%02d left  ", done, total, left / 60, left % 60);
  std::string line = head + what;
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  winsize window{};
  const std::size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 8 ? window.ws_col : 80;
  if (line.size() >= columns) line.resize(columns - 1);
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

void ProgressLine::note(const std::string& text) {
  clear();
  std::fprintf(stderr, "%s\n", text.c_str());
}

void ProgressLine::clear() {
  if (terminal_ && last_ > 0) std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
}

}  // namespace ssim::bench
