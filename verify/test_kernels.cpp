// SPDX-License-Identifier: MIT
// A small set of problems that runs every instantiation of every kernel: what `./suite sanitize` gives to
// compute-sanitizer. In emulation a test counts that none is left out (instantiations.hpp).
//
// Run: ./suite test --filter '^kernels' ; compute-sanitizer build/verify/test_kernels --match '^kernels.cuda:'
#include <gtest/gtest.h>

#include "kernels/registry.hpp"
#include "row_tests.hpp"
#if SSIM_WITH_EMULATION
#include "instantiations.hpp"
#endif

namespace ssim::verify {
namespace {

// Rows of whole vectors, odd widths of one plane and two, a misaligned pointer, several planes and strips, planes that
// fill a block's columns, a narrow last strip.
const CaseSpec kSet[] = {
    {{.batch = 1, .channels = 1, .height = 40, .width = 64}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 37, .width = 53}, "uniform"},
    {{.batch = 1, .channels = 2, .height = 37, .width = 53}, "uniform"},
    {{.batch = 2, .channels = 1, .height = 21, .width = 140}, "textured", 4},
    {{.batch = 1, .channels = 2, .height = 20, .width = 128}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 20, .width = 256}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 20, .width = 255}, "uniform"},
    {{.batch = 1, .channels = 2, .height = 20, .width = 260}, "uniform"},
    {{.batch = 1, .channels = 2, .height = 20, .width = 257}, "uniform"},
    {{.batch = 1, .channels = 3, .height = 20, .width = 257}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 20, .width = 600}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 20, .width = 599}, "uniform"},
    // Wide enough for large blocks.
    {{.batch = 1, .channels = 1, .height = 40, .width = 992}, "uniform"},
    {{.batch = 1, .channels = 1, .height = 40, .width = 991}, "uniform"},
};

void run_set(const Implementation& row, Mode mode, Padding padding) {
  int ran = 0;
  for (CaseSpec spec : kSet) {
    spec.problem.padding = padding;
    if (!row.supports(spec.problem, mode).empty()) continue;
    ++ran;
    const Verdict v = verify_row(row, shared_case(row.device, spec, seed()), mode);
    EXPECT_TRUE(v.ok) << v.message;
  }
  if (ran == 0) skip(key(row) + " does not support it: " + row.supports(kSet[0].problem, mode));
}

void register_all(Registrar& registrar) {
  for (const Implementation& row : kernel_rows()) {
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        registrar.add("kernels", key(row) + ":" + to_string(mode) + ":" + to_string(padding), [&row, mode, padding] {
          if (const std::string reason = cannot_run(row.device); !reason.empty()) {
            return skip(reason, row.device == Device::cuda);
          }
          run_set(row, mode, padding);
        });
      }
    }
  }
}

const RegisterTests registration(register_all);

TEST(KernelSet, RunsEveryInstantiation) {
  if (const std::string reason = cannot_run(Device::cuda_emulated); !reason.empty()) return skip(reason);
#if SSIM_WITH_EMULATION
  for (const Implementation& row : kernel_rows()) {
    if (row.device != Device::cuda_emulated) continue;
    for (const Mode mode : kModes) {
      for (CaseSpec spec : kSet) {
        for (const Padding padding : kPaddings) {
          spec.problem.padding = padding;
          if (!row.supports(spec.problem, mode).empty()) continue;
          EXPECT_TRUE(verify_row(row, shared_case(row.device, spec, seed()), mode).ok);
        }
      }
    }
  }
  expect_every_instantiation([](const std::string& kernel) { return !is_of_operator(kernel); });
#endif
}

}  // namespace
}  // namespace ssim::verify
