// SPDX-License-Identifier: MIT
// Deliberate defects of cpu:stream (SSIM_DEFECT in its sources), each of which the verifier must catch.
//
// Idea: the row's own source is compiled once per defect and run behind the row's own partition; verify_row has to
// refuse it on at least one of a few ordinary problems, and has to accept the same build without a defect on all.
// Cost: small images; seconds. Run: ./suite test --filter cpu_defects
#include <gtest/gtest.h>

#include <string>

#include "kernels/cpu/stream.hpp"
#include "verify/check.hpp"

namespace ssim::cpu {
#define SSIM_DECLARE_DEFECT(n)                                          \
  namespace defect_##n {                                                \
    double run_task(const Sweep& sweep, const Task& task, float* ring); \
  }
SSIM_DECLARE_DEFECT(0)
SSIM_DECLARE_DEFECT(1)
SSIM_DECLARE_DEFECT(2)
SSIM_DECLARE_DEFECT(3)
SSIM_DECLARE_DEFECT(4)
SSIM_DECLARE_DEFECT(5)
SSIM_DECLARE_DEFECT(6)
SSIM_DECLARE_DEFECT(7)
SSIM_DECLARE_DEFECT(8)
#undef SSIM_DECLARE_DEFECT
}  // namespace ssim::cpu

namespace ssim {
namespace {

/// Messages of all problems on which the row was refused.
std::string refusals(cpu::TaskFunction run_task) {
  const Implementation row = cpu::stream_with(run_task);
  const Problem problems[] = {
      {.batch = 1, .channels = 2, .height = 40, .width = 37},
      {.batch = 1, .channels = 1, .height = 150, .width = 48, .padding = Padding::valid},
  };
  std::string messages;
  for (const Problem& problem : problems) {
    for (const char* input_class : {"uniform", "smooth"}) {
      const verify::Case one(Device::cpu, problem, input_class, 7);
      for (Mode mode : {Mode::infer, Mode::train}) messages += verify::verify_row(row, one, mode).message;
    }
  }
  return messages;
}

struct Defect {
  const char* what;
  cpu::TaskFunction run_task;
};

class CpuDefects : public testing::TestWithParam<Defect> {};

TEST_P(CpuDefects, IsCaught) { EXPECT_NE(refusals(GetParam().run_task), "") << GetParam().what; }

INSTANTIATE_TEST_SUITE_P(Stream, CpuDefects,
                         testing::Values(Defect{"one tap wrong", cpu::defect_1::run_task},
                                         Defect{"last column read as zero", cpu::defect_2::run_task},
                                         Defect{"fields of the band above forgotten", cpu::defect_3::run_task},
                                         Defect{"C2 in place of C1", cpu::defect_4::run_task},
                                         Defect{"kept columns not put on the new constant", cpu::defect_5::run_task},
                                         Defect{"plane index ignored", cpu::defect_6::run_task},
                                         Defect{"last gradient row of a task not written", cpu::defect_7::run_task},
                                         Defect{"a row counted by two tasks", cpu::defect_8::run_task}),
                         [](const auto& info) { return "defect_" + std::to_string(info.index + 1); });

TEST(CpuDefectsFrame, TheSameBuildWithoutADefectPasses) { EXPECT_EQ(refusals(cpu::defect_0::run_task), ""); }

}  // namespace
}  // namespace ssim
