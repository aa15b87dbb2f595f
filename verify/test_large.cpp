// SPDX-License-Identifier: MIT
// Problems of more than 2^31 elements, with SUITE_LARGE=1 where memory suffices (26 GB and what the row's workspace
// takes): many planes, more than 65535 of them, and one plane that is that large.
//
// Images repeat a small one, whose oracle is then the oracle of every repetition: of each seventh plane, or of every 97
// rows but the first and last ones. No repetition is a power of two long, so an index that wraps at 2^31 or 2^32
// elements meets other content. All elements are compared, where they lie.
//
// Cost: some seconds a row on a card. Run: SUITE_LARGE=1 ./suite test --device cuda --filter '^large'
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "baselines/all_rows.hpp"
#include "compare.hpp"
#include "inputs.hpp"
#include "oracle.hpp"
#include "row_tests.hpp"
#include "tolerance.hpp"
#if SSIM_WITH_CUDA
#include <cuda_runtime.h>

#include "oracle_cuda.hpp"
#endif

namespace ssim::verify {
namespace {

constexpr std::int64_t kDistinctPlanes = 7, kRows = 97;

/// A large problem and what it repeats. wanted: of gradient and mean, of the large one, for a weight of 1.
struct Large {
  Problem problem;
  std::int64_t repeats = 0;
  Problem part;                            // whose elements are repeated
  ImagePair images;                        // of one part
  std::vector<double> first, inner, last;  // gradient of a part at the top, in the middle, at the bottom
  double mean = 0, rms = 0;
};

double rms_of(const std::vector<double>& values) {
  return std::sqrt(size_of(values.data(), static_cast<std::int64_t>(values.size())).squares /
                   static_cast<double>(values.size()));
}

void scale(std::vector<double>& values, double by) {
  for (double& v : values) v *= by;
}

Large many_planes(Padding padding) {
  Large l;
  l.repeats = 11703;
  l.problem = {.batch = 27307, .channels = 3, .height = 160, .width = 164, .padding = padding};
  l.part = {.channels = kDistinctPlanes, .height = 160, .width = 164, .padding = padding};
  l.images = make_images(l.part, "uniform", seed());
  OracleAnswer answer = oracle(l.part, l.images.x.data(), l.images.y.data());
  l.mean = answer.mean;
  l.inner = std::move(answer.grad_x);
  scale(l.inner, 1 / static_cast<double>(l.repeats));
  l.first = l.last = l.inner;
  l.rms = rms_of(l.inner);
  return l;
}

Large one_plane(Padding padding) {
  Large l;
  l.repeats = 5403;
  l.problem = {.height = kRows * l.repeats, .width = 4100, .padding = padding};
  l.part = {.height = kRows, .width = 4100};
  l.images = make_images(l.part, "uniform", seed());
  // Two and three repetitions: what is in the middle of three is in the middle of any number, and each more adds the
  // same.
  ImagePair several;
  OracleAnswer of[4];
  double sum[4] = {};
  for (int n = 1; n <= 3; ++n) {
    several.x.insert(several.x.end(), l.images.x.begin(), l.images.x.end());
    several.y.insert(several.y.end(), l.images.y.begin(), l.images.y.end());
    if (n == 1) continue;
    const Problem p{.height = kRows * n, .width = 4100, .padding = padding};
    of[n] = oracle(p, several.x.data(), several.y.data());
    sum[n] = of[n].mean * static_cast<double>(p.counted());
    scale(of[n].grad_x, static_cast<double>(p.counted()) / static_cast<double>(l.problem.counted()));
  }
  l.mean = (sum[3] + static_cast<double>(l.repeats - 3) * (sum[3] - sum[2])) / static_cast<double>(l.problem.counted());
  const auto third = [&](int n) {
    const auto begin = of[3].grad_x.begin() + n * l.part.elements();
    return std::vector<double>(begin, begin + l.part.elements());
  };
  l.first = third(0);
  l.inner = third(1);
  l.last = third(2);
  l.rms = rms_of(l.inner);
  return l;
}

void copy_inside(Device device, void* to, const void* from, std::int64_t bytes) {
#if SSIM_WITH_CUDA
  if (device == Device::cuda) {
    const cudaError_t error = cudaMemcpy(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault);
    if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
    return;
  }
#endif
  (void)device;
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

/// `count` times the same bytes, by copies of twice as many each time.
void repeat(Device device, float* to, const std::vector<float>& from, std::int64_t count) {
  const auto part = static_cast<std::int64_t>(from.size() * sizeof(float));
  copy_inside(device, to, from.data(), part);
  for (std::int64_t done = 1; done < count;) {
    const std::int64_t next = std::min(done, count - done);
    copy_inside(device, reinterpret_cast<char*>(to) + done * part, to, next * part);
    done += next;
  }
}

Comparison compare_on(Device device, const Problem& p, const float* got, const Memory& want, double by, double limit) {
#if SSIM_WITH_CUDA
  if (device == Device::cuda) return cuda::compare(p, got, want.as<const double>(), by, limit);
#endif
  (void)device;
  return compare(p, got, want.as<const double>(), by, limit);
}

void right(const Implementation& row, Mode mode, Padding padding, Large (*make)(Padding)) {
  const char* wanted = std::getenv("SUITE_LARGE");
  if (!wanted || std::strcmp(wanted, "1") != 0) {
    return skip("problems of more than 2^31 elements, 26 GB: SUITE_LARGE=1 runs them");
  }
  if (const std::string reason = cannot_run(row.device); !reason.empty()) {
    return skip(reason, row.device == Device::cuda);
  }
  const Large large = make(padding);
  const Problem& p = large.problem;
  ASSERT_GT(p.elements(), std::int64_t{1} << 31);
  ASSERT_EQ(large.part.elements() * large.repeats, p.elements());
  if (const std::string reason = row.supports(p, mode); !reason.empty()) {
    return skip(key(row) + " does not support it: " + reason);
  }
  const bool train = mode == Mode::train;
  const std::int64_t bytes = (train ? 12 : 8) * p.elements() + row.workspace_bytes(p, mode) + (std::int64_t{1} << 29);
  if (const std::int64_t free = free_memory(row.device); free < bytes) {
    return skip(key(row, p, mode) + " takes " + std::to_string(bytes >> 30) + " GiB, free are " +
                std::to_string(free >> 30));
  }
  PreparedCall one(row, p, mode);
  repeat(row.device, one.x(), large.images.x, large.repeats);
  repeat(row.device, one.y(), large.images.y, large.repeats);
  const float weight = -1000;
  one.set_weight(weight);
  synchronize(row.device);
  const Status s = one.start();
  ASSERT_TRUE(s) << s.message;
  synchronize(row.device);
  EXPECT_EQ(one.damage(), "");

  const Tolerance allowed = tolerance(row, "uniform");
  const auto positions = static_cast<double>(p.counted());
  EXPECT_NEAR(one.mean(), large.mean, allowed.mean + allowed.position / std::sqrt(positions));
  if (!train) return;
  const double by = static_cast<double>(weight);
  const double limit = std::abs(by) * (allowed.gradient * large.rms + allowed.gradient_unit / positions);
  const auto on_device = [&](const std::vector<double>& values) {
    Memory memory(row.device, static_cast<std::int64_t>(values.size() * sizeof(double)));
    memory.upload(values.data());
    return memory;
  };
  const Memory first = on_device(large.first), inner = on_device(large.inner), last = on_device(large.last);
  std::int64_t exceeding = 0, where = -1;
  for (std::int64_t i = 0; i < large.repeats; ++i) {
    const Memory& want = i == 0 ? first : i == large.repeats - 1 ? last : inner;
    const Comparison c =
        compare_on(row.device, large.part, one.gradient() + i * large.part.elements(), want, by, limit);
    if (c.exceeding > 0 && exceeding == 0) where = i * large.part.elements() + c.index;
    exceeding += c.exceeding;
  }
  EXPECT_EQ(exceeding, 0) << "gradients are off by more than " << limit << ", the first at "
                          << (where < 0 ? "" : place(p, where));
}

void register_all(Registrar& registrar) {
  for (const Implementation& row : all_rows()) {
    if (row.baseline || row.device == Device::cuda_emulated) continue;
    for (const Mode mode : kModes) {
      for (const Padding padding : kPaddings) {
        const std::string name = key(row) + ":" + to_string(mode) + ":" + to_string(padding);
        registrar.add("large", name + "/planes", [&row, mode, padding] { right(row, mode, padding, many_planes); });
        registrar.add("large", name + "/plane", [&row, mode, padding] { right(row, mode, padding, one_plane); });
      }
    }
  }
}

const RegisterTests registration(register_all);

// The repetitions' oracle is that of the whole, tried where the whole is small enough: five repetitions of each kind.
TEST(LargeProblems, RepeatTheirOracle) {
  for (const Padding padding : kPaddings) {
    const Problem part{.height = 30, .width = 41};
    const ImagePair im = make_images(part, "uniform", seed());
    double sum[6] = {};
    OracleAnswer of[6];
    ImagePair several;
    for (int n = 1; n <= 5; ++n) {
      several.x.insert(several.x.end(), im.x.begin(), im.x.end());
      several.y.insert(several.y.end(), im.y.begin(), im.y.end());
      const Problem p{.height = 30 * n, .width = 41, .padding = padding};
      of[n] = oracle(p, several.x.data(), several.y.data());
      sum[n] = of[n].mean * static_cast<double>(p.counted());
      scale(of[n].grad_x, static_cast<double>(p.counted()));
    }
    EXPECT_NEAR(sum[3] + 2 * (sum[3] - sum[2]), sum[5], 1e-9 * std::abs(sum[5]));
    for (std::int64_t i = 0; i < 5 * part.elements(); ++i) {
      const std::int64_t place = i % part.elements(), n = i / part.elements();
      const std::int64_t in_three = (n == 0 ? 0 : n == 4 ? 2 : 1) * part.elements() + place;
      ASSERT_NEAR(of[3].grad_x[static_cast<std::size_t>(in_three)], of[5].grad_x[static_cast<std::size_t>(i)], 1e-12);
    }
  }
}

}  // namespace
}  // namespace ssim::verify
