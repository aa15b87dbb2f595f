// SPDX-License-Identifier: MIT
// stream_unpivoted: `stream` with a pivot of zero, to see what the pivot brings.
//
// Idea: stream.cu. Squares are of s itself, numbers of up to 4, so E[s^2] - ms^2 loses the digits that a bright image
// takes: on photographs the mean is off by up to 3e-6 in place of 2e-7, where they are bright and flat the gradient by
// 5e-4 of its RMS in place of 1e-6.
// Cost: that of `stream`, whose kernels these are. The pivot is one addition a pixel beside 80 (140) FMA.
// Run: ./suite test --filter stream_unpivoted ; ./suite profile stream_unpivoted
#include "stream_row.hpp"

namespace ssim::SSIM_CUDA_NAMESPACE {

Implementation stream_unpivoted() {
  return streaming::stream_row("stream_unpivoted", "as `stream`, but s is squared as it is", false);
}

}  // namespace ssim::SSIM_CUDA_NAMESPACE
