// SPDX-License-Identifier: MIT
// Turns among processes: what is compared runs side by side in time, but never at once.
//
// Two processes one after the other meet a machine in different moods (neighbours on its cores, clocks, for seconds at
// a time), and the difference is taken for one of the builds. Taking turns of some hundredths of a second, they meet
// the same. Whoever gives them out (frontdoor/paired.py) hears one byte on OUT when the process waits, and sends one
// byte to IN when it may go on.
#pragma once

namespace ssim::bench {

class Turns {
 public:
  Turns() = default;  // no turns: next() returns at once
  /// Descriptors that are open for reading and for writing. From here on a broken pipe is no signal.
  Turns(int in, int out);
  /// Ends this process's turn and waits for its next one; the seconds that took. Returns too where nobody gives turns
  /// any more, or a signal comes.
  double next();

 private:
  int in_ = -1, out_ = -1;
};

}  // namespace ssim::bench
