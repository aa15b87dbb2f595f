// SPDX-License-Identifier: MIT
// The checker can fail: comparison, guarded memory, inputs, and rows that are wrong in one way each.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "baselines/all_rows.hpp"
#include "compare.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "memory.hpp"
#include "row_tests.hpp"
#include "tolerance.hpp"

namespace ssim::verify {
namespace {

const Problem kProblem{.batch = 2, .channels = 1, .height = 30, .width = 40};

TEST(Compare, FindsTheWorstItsPlaceAndItsRegion) {
  std::vector<double> want(2400, 1.0);
  std::vector<float> got(2400, 1.0f);
  got[1200 + 15 * 40 + 20] = 1.25f;  // inside
  got[1200 + 3] = 1.125f;            // corner
  got[15 * 40 + 39] = 0.5f;          // edge
  const Comparison c = compare(kProblem, got.data(), want.data(), 1, 0.2);
  EXPECT_EQ(c.worst, 0.5);
  EXPECT_EQ(c.index, 15 * 40 + 39);
  EXPECT_EQ(c.interior, 0.25);
  EXPECT_EQ(c.corner, 0.125);
  EXPECT_EQ(c.edge, 0.5);
  EXPECT_EQ(c.exceeding, 2);
  EXPECT_EQ(place(kProblem, 1200 + 3), "image 1, channel 0, row 0, column 3 (corner)");
}

TEST(Compare, NaNAndInfinityFailWhateverTheLimit) {
  for (const float bad :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<double> want(2400, 0.0);
    std::vector<float> got(2400, 0.0f);
    got[777] = bad;
    const Comparison c = compare(kProblem, got.data(), want.data(), 1, 1e300);
    EXPECT_EQ(c.exceeding, 1);
    EXPECT_EQ(c.index, 777);
    EXPECT_TRUE(std::isinf(c.worst));
  }
  std::vector<double> want(2400, std::nan(""));
  EXPECT_EQ(compare(kProblem, std::vector<float>(2400).data(), want.data(), 1, 1e300).exceeding, 2400);
}

TEST(Compare, FingerprintSeesEachBit) {
  std::vector<float> v(1000, 0.5f);
  const std::uint64_t before = fingerprint(v.data(), 1000);
  v[123] = -0.5f;
  EXPECT_NE(fingerprint(v.data(), 1000), before);
  v[123] = 0.5f;
  EXPECT_EQ(fingerprint(v.data(), 1000), before);
  v[0] = 0.25f, v[1] = 0.75f;
  const std::uint64_t one = fingerprint(v.data(), 1000);
  std::swap(v[0], v[1]);
  EXPECT_NE(fingerprint(v.data(), 1000), one);
}

TEST(Memory, GuardBandsSeeWritesOnBothSides) {
  for (const std::int64_t offset : {0, 4, 12}) {
    Memory m(Device::cpu, 100, offset);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.data()) % 256, static_cast<std::uintptr_t>(offset));
    EXPECT_EQ(m.damage(), "");
    EXPECT_TRUE(std::isnan(m.as<float>()[24]));
    EXPECT_TRUE(std::isnan(m.as<float>()[25])) << "whoever reads past the end must get NaN";
    EXPECT_TRUE(std::isnan(m.as<float>()[-1])) << "whoever reads before the start must get NaN";
    m.as<char>()[100] = 0;
    EXPECT_EQ(m.damage(), "written 0 bytes past its end");
    Memory other(Device::cpu, 64, offset);
    other.as<float>()[-1] = 0;
    EXPECT_EQ(other.damage(), "written 1 bytes before its start");
  }
  EXPECT_THROW(Memory(Device::cpu, -1), std::invalid_argument);
}

TEST(Inputs, AreFunctionsOfTheSeed) {
  const Problem p{.batch = 1, .channels = 3, .height = 33, .width = 47};
  for (const InputClass& c : input_classes()) {
    const ImagePair a = make_images(p, c.name, 5), b = make_images(p, c.name, 5);
    EXPECT_EQ(a.x, b.x) << c.name;
    EXPECT_EQ(a.y, b.y) << c.name;
    for (const float v : a.x) ASSERT_TRUE(std::isfinite(v)) << c.name;
    for (const float v : a.y) ASSERT_TRUE(std::isfinite(v)) << c.name;
    for (const Basis basis : {Basis::classic, Basis::sum_difference}) {
      Implementation row;
      row.basis = basis;
      EXPECT_NO_THROW(tolerance(row, c.name));
    }
  }
  EXPECT_NE(make_images(p, "uniform", 5).x, make_images(p, "uniform", 6).x);
  EXPECT_THROW(make_images(p, "unform", 1), std::invalid_argument);
}

// A row of the host that a test then breaks.
Implementation good_row() {
  for (const Implementation& row : kernel_rows()) {
    if (row.device == Device::cpu) return row;
  }
  throw std::runtime_error("no row for the CPU");
}

const Case& wrong_case() {
  return shared_case(Device::cpu, {{.batch = 2, .height = 21, .width = 34}, "uniform"}, seed());
}

std::string caught(const Implementation& row, Mode mode = Mode::train) {
  const Verdict v = verify_row(row, wrong_case(), mode);
  EXPECT_FALSE(v.ok);
  EXPECT_NE(v.message.find("./suite test --filter"), std::string::npos) << v.message;
  return v.message;
}

#define EXPECT_CAUGHT(row, word) \
  EXPECT_PRED2([](const std::string& a, const std::string& b) { return a.find(b) != a.npos; }, caught(row), word)

// The row, and `after` behind each call.
Implementation with(std::function<void(const Problem&, const Arguments&)> after) {
  Implementation row = good_row();
  const auto inner = row.value_and_grad;
  row.value_and_grad = [inner, after](const Problem& p, const Arguments& a) {
    const Status s = inner(p, a);
    after(p, a);
    return s;
  };
  return row;
}

TEST(VerifyRow, PassesARowThatIsRight) {
  for (const Mode mode : kModes) {
    const Verdict v = verify_row(good_row(), wrong_case(), mode);
    EXPECT_TRUE(v.ok) << v.message;
    EXPECT_GT(v.mean_error, 0) << "an error of exactly nothing is not to be believed";
  }
}

TEST(VerifyRow, CatchesWrongRows) {
  EXPECT_CAUGHT(with([](const Problem& p, const Arguments& a) { std::fill_n(a.grad_x, p.elements(), 0.0f); }),
                "gradient");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { *a.mean += 1e-5; }), "mean");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { *a.mean = std::nan(""); }), "mean");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { a.grad_x[17] = std::nanf(""); }), "gradient");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { a.grad_x[17] *= -1; }), "gradient");
  EXPECT_CAUGHT(with([](const Problem& p, const Arguments& a) { a.grad_x[p.elements()] = 0; }), "grad_x was written");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { a.grad_x[-1] = 0; }), "grad_x was written");
  EXPECT_CAUGHT(with([](const Problem&, const Arguments& a) { const_cast<float*>(a.x)[3] = 0; }), "x was modified");
  // The case above has spoilt the shared images; the rest gets its own.
}

TEST(VerifyRow, CatchesWhatALaterCallWouldSufferFrom) {
  const Case own(Device::cpu, {.batch = 1, .height = 21, .width = 34}, "uniform", seed());
  const auto message = [&](const Implementation& row) { return verify_row(row, own, Mode::train).message; };
  int calls = 0;
  EXPECT_NE(
      message(with([&](const Problem&, const Arguments& a) { *a.mean += 1e-12 * ++calls; })).find("two runs differ"),
      std::string::npos);
  EXPECT_NE(message(with([&](const Problem&, const Arguments& a) {
              a.grad_x[5] = std::nextafter(a.grad_x[5], ++calls % 2 ? 1.f : -1.f);
            })).find("two runs differ"),
            std::string::npos);
  EXPECT_NE(message(with([](const Problem&, const Arguments& a) {
              static_cast<char*>(a.workspace)[9] = 1;
            })).find("control block"),
            std::string::npos);
  EXPECT_NE(message(with([](const Problem&, const Arguments& a) {
              static_cast<char*>(a.workspace)[a.workspace_bytes] = 1;
            })).find("workspace was written"),
            std::string::npos);
  // Ignores the weight, and adds to what was there.
  Implementation row = good_row();
  const auto inner = row.value_and_grad;
  row.value_and_grad = [inner](const Problem& p, Arguments a) {
    a.weight = nullptr;
    return inner(p, a);
  };
  EXPECT_NE(message(row).find("gradient"), std::string::npos);
  row.value_and_grad = [inner](const Problem& p, const Arguments& a) {
    std::vector<float> before(a.grad_x, a.grad_x + p.elements());
    const Status s = inner(p, a);
    for (std::int64_t i = 0; i < p.elements(); ++i) a.grad_x[i] += before[i];
    return s;
  };
  EXPECT_NE(message(row).find("gradient"), std::string::npos);
  row.value_and_grad = [](const Problem&, const Arguments&) { return Status{}; };
  EXPECT_NE(message(row).find("nan, oracle"), std::string::npos) << message(row);
  row.value_and_grad = [](const Problem&, const Arguments&) {
    return Status::error(Status::Code::device_error, "broken on purpose");
  };
  EXPECT_NE(message(row).find("broken on purpose"), std::string::npos);
}

}  // namespace
}  // namespace ssim::verify
