// SPDX-License-Identifier: MIT
// explain() for ctypes: the one symbol of the package's library that is seen from outside. Knows no torch.
#include <string>

#include "kernels/explain.hpp"

/// "row<TAB>why" a line, as ssim::explain() orders them; valid until the thread's next call.
extern "C" [[gnu::visibility("default")]] const char* fused_ssim_explain(int cuda, int valid, int train,
                                                                         const long long shape[4]) {
  thread_local std::string text;
  text.clear();
  const ssim::Problem problem{.batch = shape[0],
                              .channels = shape[1],
                              .height = shape[2],
                              .width = shape[3],
                              .padding = valid ? ssim::Padding::valid : ssim::Padding::same};
  for (const ssim::RowVerdict& verdict : ssim::explain(cuda ? ssim::Device::cuda : ssim::Device::cpu, problem,
                                                       train ? ssim::Mode::train : ssim::Mode::infer)) {
    text += verdict.row + '\t' + verdict.why + '\n';
  }
  return text.c_str();
}
