// SPDX-License-Identifier: MIT
// cpu:stream beyond the contract: every instruction set it can run, any number of threads, a forked child.
//
// Idea: the set is forced through SSIM_CPU_ISA and the answers compared with each other; accuracy itself is tested by
// the tests that walk the rows.
// Cost: small images; a second. Run: ./suite test --filter cpu_dispatch
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "compare.hpp"
#include "kernels/cpu/stream.hpp"
#include "kernels/registry.hpp"

namespace ssim {
namespace {

class Isa {  // forces an instruction set while it lives
 public:
  explicit Isa(const char* name) {
    if (const char* before = std::getenv("SSIM_CPU_ISA")) before_ = before, had_ = true;
    name ? setenv("SSIM_CPU_ISA", name, 1) : unsetenv("SSIM_CPU_ISA");
  }
  ~Isa() { had_ ? setenv("SSIM_CPU_ISA", before_.c_str(), 1) : unsetenv("SSIM_CPU_ISA"); }

 private:
  std::string before_;
  bool had_ = false;
};

struct Answer {
  Status status;
  double mean = std::numeric_limits<double>::quiet_NaN();
  std::vector<float> gradient;
};

struct Images {
  explicit Images(const Problem& p, unsigned seed = 1) : problem(p), x(p.elements()), y(p.elements()) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(0, 1);
    for (auto* image : {&x, &y}) {
      for (float& pixel : *image) pixel = uniform(random);
    }
  }
  Answer operator()(Mode mode, int threads = 0, float weight = 1) const {
    const Implementation& row = *find_row(Device::cpu, "stream");
    Answer answer;
    answer.gradient.assign(x.size(), std::numeric_limits<float>::quiet_NaN());
    const std::int64_t bytes = row.workspace_bytes(problem, mode);
    void* workspace = std::aligned_alloc(kWorkspaceAlignment, (bytes + 255) / 256 * 256);
    std::memset(workspace, 0xFF, bytes);
    std::memset(workspace, 0, kControlBytes);
    answer.status = call(row, problem, mode,
                         {.x = x.data(),
                          .y = y.data(),
                          .weight = &weight,
                          .mean = &answer.mean,
                          .grad_x = answer.gradient.data(),
                          .workspace = workspace,
                          .workspace_bytes = bytes,
                          .threads = threads});
    std::free(workspace);
    return answer;
  }
  Problem problem;
  std::vector<float> x, y;
};

bool same_bits(const Answer& a, const Answer& b) {
  return std::memcmp(&a.mean, &b.mean, sizeof a.mean) == 0 && verify::same_bits(a.gradient, b.gradient);
}

// Several tasks in both modes, widths that are no multiple of anything, and a strip seam at the last.
const Problem kProblems[] = {
    {.batch = 2, .channels = 3, .height = 150, .width = 67},
    {.batch = 1, .channels = 1, .height = 300, .width = 131, .padding = Padding::valid},
    {.batch = 1, .channels = 1, .height = 37, .width = 2101},
};

TEST(CpuDispatch, PortableIsAlwaysThereAndLast) {
  ASSERT_FALSE(cpu::instruction_sets().empty());
  EXPECT_EQ(cpu::instruction_sets().back(), "portable");
}

TEST(CpuDispatch, TheBestSetIsTheDefault) {
  const Images images(kProblems[0]);
  Answer by_default, best;
  {
    const Isa isa(nullptr);
    by_default = images(Mode::train);
  }
  {
    const Isa isa(cpu::instruction_sets().front().c_str());
    best = images(Mode::train);
  }
  ASSERT_TRUE(by_default.status) << by_default.status.message;
  EXPECT_TRUE(same_bits(by_default, best));
}

TEST(CpuDispatch, UnknownSetIsAnErrorThatNamesItAndTouchesNothing) {
  const Isa isa("sse9");
  for (Mode mode : {Mode::infer, Mode::train}) {
    const Answer answer = Images(kProblems[0])(mode);
    EXPECT_EQ(answer.status.code, Status::Code::invalid_argument);
    EXPECT_NE(std::string(answer.status.message).find("sse9"), std::string::npos) << answer.status.message;
    EXPECT_NE(std::string(answer.status.message).find("portable"), std::string::npos) << answer.status.message;
    EXPECT_TRUE(std::isnan(answer.mean));
    EXPECT_TRUE(std::isnan(answer.gradient[0]));
  }
}

TEST(CpuDispatch, SetsAgree) {
  for (const Problem& problem : kProblems) {
    const Images images(problem);
    const Isa portable("portable");
    const Answer expected = images(Mode::train);
    ASSERT_TRUE(expected.status) << expected.status.message;
    double square = 0;
    for (float g : expected.gradient) square += static_cast<double>(g) * g;
    const double rms = std::sqrt(square / static_cast<double>(expected.gradient.size()));
    for (const std::string& name : cpu::instruction_sets()) {
      const Isa isa(name.c_str());
      const Answer answer = images(Mode::train);
      ASSERT_TRUE(answer.status) << answer.status.message;
      EXPECT_NEAR(answer.mean, expected.mean, 2e-7) << name;  // noise: two fp32 evaluations of the accuracy table
      for (std::size_t i = 0; i < answer.gradient.size(); ++i) {
        ASSERT_LE(std::abs(answer.gradient[i] - expected.gradient[i]), 2e-5 * rms) << name << " at " << i;
      }
    }
  }
}

TEST(CpuDispatch, AnyNumberOfThreadsGivesTheSameBits) {
  for (const std::string& name : cpu::instruction_sets()) {
    const Isa isa(name.c_str());
    for (const Problem& problem : kProblems) {
      const Images images(problem);
      for (Mode mode : {Mode::infer, Mode::train}) {
        const Answer one = images(mode, 1);
        ASSERT_TRUE(one.status) << one.status.message;
        for (int threads : {2, 3, 5, 16, 1000}) {
          EXPECT_TRUE(same_bits(one, images(mode, threads)))
              << name << " " << to_string(mode) << " " << threads << " threads";
        }
      }
    }
  }
}

TEST(CpuDispatch, SwappedPlanesHaveTheSameMeanBitForBit) {
  const Problem problem{.batch = 5, .channels = 1, .height = 61, .width = 50};
  const Images images(problem);
  Images reversed(problem);
  const auto size = problem.plane_size();
  for (std::int64_t plane = 0; plane < problem.planes(); ++plane) {
    const auto other = problem.planes() - 1 - plane;
    std::copy_n(images.x.begin() + plane * size, size, reversed.x.begin() + other * size);
    std::copy_n(images.y.begin() + plane * size, size, reversed.y.begin() + other * size);
  }
  for (Mode mode : {Mode::infer, Mode::train}) EXPECT_EQ(images(mode).mean, reversed(mode).mean);
}

TEST(CpuDispatch, NanStaysInTheReachOfTheWindow) {
  for (const std::string& name : cpu::instruction_sets()) {
    const Isa isa(name.c_str());
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const Problem problem{.batch = 1, .channels = 3, .height = 60, .width = 70};
      const Images good(problem);
      Images images = good;
      const std::int64_t row = 30, column = 35;  // one of the pixels that a task's constants are taken from
      images.x[problem.plane_size() + row * problem.width + column] = bad;
      const Answer answer = images(Mode::train), expected = good(Mode::train);
      EXPECT_TRUE(std::isnan(answer.mean)) << name;
      EXPECT_TRUE(std::isnan(images(Mode::infer).mean)) << name;
      for (std::int64_t i = 0; i < problem.elements(); ++i) {
        const std::int64_t plane = i / problem.plane_size();
        const std::int64_t r = i % problem.plane_size() / problem.width, c = i % problem.width;
        if (plane != 1) {
          ASSERT_EQ(answer.gradient[i], expected.gradient[i]) << name << " plane " << plane;
        } else {
          const bool reached = std::abs(r - row) <= 2 * kHalo && std::abs(c - column) <= 2 * kHalo;
          ASSERT_EQ(!std::isfinite(answer.gradient[i]), reached) << name << " " << r << "," << c;
        }
      }
    }
  }
}

TEST(CpuDispatch, ForkedChildAnswersTheSame) {
  const Images images(kProblems[0]);
  const Answer expected = images(Mode::train, 2);  // the parent's threads exist now
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);  // a child that hangs dies by the signal
    _exit(same_bits(images(Mode::train, 2), expected) ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  EXPECT_TRUE(WIFEXITED(state)) << "the child was killed by signal " << WTERMSIG(state);
  EXPECT_EQ(WEXITSTATUS(state), 0);
}

}  // namespace
}  // namespace ssim
