// SPDX-License-Identifier: MIT
// Calls of one stream in their order, whatever overlaps on the card: a kernel may be launched before the one ahead of
// it has ended (programmatic dependent launch), and must then wait before it reads what that one wrote. In train each
// call's image is the gradient of one before it, in infer all share a workspace; results are bitwise those of the same
// calls with a synchronisation behind each.
//
// Cost: seconds. Run: ./suite test --filter '^stream_order'
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/registry.hpp"
#include "stream_tests.hpp"

namespace ssim::verify {
namespace {

/// Some calls of one row, each with images and outputs of its own, that use the workspaces of the first two.
class Calls {
 public:
  static constexpr int kCalls = 6;

  Calls(const Implementation& row, const Problem& p, Mode mode) : row_(row), problem_(p), mode_(mode) {
    const ImagePair first = images(p, 0);
    for (int i = 0; i < kCalls; ++i) {
      calls_.push_back(std::make_unique<PreparedCall>(row, p, mode));
      // Gradients of about the size of images.
      calls_.back()->upload(images(p, static_cast<std::uint64_t>(i)).x, first.y,
                            0.1f * static_cast<float>(p.elements()));
    }
  }

  /// Outputs become NaN, so that who reads one before it is there has NaN.
  void poison() {
    for (const auto& one : calls_) one->poison();
  }

  /// Call `i` of the image that call `before` gave, or of one of its own; with a workspace for each stream.
  Status start(int i, int before, void* stream, int workspace) {
    Arguments given = calls_[i]->arguments();
    if (mode_ == Mode::train && before >= 0) given.x = calls_[before]->gradient();
    given.workspace = calls_[workspace]->arguments().workspace;
    given.stream = stream;
    return call(row_, problem_, mode_, given);
  }

  std::vector<Result> results() const {
    std::vector<Result> results;
    for (const auto& one : calls_) results.push_back(one->result());
    return results;
  }

 private:
  const Implementation& row_;
  const Problem problem_;
  const Mode mode_;
  std::vector<std::unique_ptr<PreparedCall>> calls_;
};

/// Starts call `i` behind call `before`; the stream is the first or the second.
using Start = std::function<Status(int i, int before, int stream)>;

Status chain(const Start& start) {
  for (int i = 0; i < Calls::kCalls; ++i) {
    if (Status s = start(i, i - 1, 0); !s) return s;
  }
  return {};
}

void expect_same(const std::vector<Result>& got, const std::vector<Result>& expected, const std::string& where) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(std::isfinite(expected[i].mean)) << "call " << i << ", each waited for";
    EXPECT_TRUE(same_bits(got[i], expected[i]))
        << where << ", call " << i << ": " << got[i].mean << ", waited for " << expected[i].mean;
  }
}

/// The results of calls that are waited for one by one.
std::vector<Result> waited_for(Device device, Calls& calls, const std::function<Status(const Start&)>& all) {
  calls.poison();
  const Status s = all([&](int i, int before, int stream) {
    Status started = calls.start(i, before, nullptr, stream);
    synchronize(device);
    return started;
  });
  EXPECT_TRUE(s) << s.message;
  return calls.results();
}

bool repeats(const Implementation& row) { return row.repeatable; }

void in_one_stream(const Implementation& row, const Problem& p, Mode mode) {
  Calls calls(row, p, mode);
  const std::vector<Result> expected = waited_for(row.device, calls, chain);
  const Stream side(row.device);
  const int rounds = row.device == Device::cuda ? 5 : 1;  // elsewhere nothing overlaps, and emulation is slow
  for (int round = 0; round < rounds; ++round) {
    calls.poison();
    const Status s = chain([&](int i, int before, int) { return calls.start(i, before, side.stream, 0); });
    ASSERT_TRUE(s) << s.message;
    side.wait();
    expect_same(calls.results(), expected, "round " + std::to_string(round));
  }
}

#if SSIM_WITH_CUDA

bool captured_on_card(const Implementation& row) { return on_card(row) && row.repeatable && row.capturable; }

// A second stream forks off behind the first call and joins before the last two: a kernel with two before it.
void in_a_forked_graph(const Implementation& row, const Problem& p, Mode mode) {
  static_assert(Calls::kCalls == 6);
  const auto all = [](const Start& start, const std::function<void()>& fork, const std::function<void()>& join) {
    Status s = start(0, -1, 0);
    fork();
    if (s) s = start(1, 0, 1);
    if (s) s = start(2, 1, 1);
    if (s) s = start(3, 0, 0);
    join();
    if (s) s = start(4, 2, 0);
    if (s) s = start(5, 3, 0);
    return s;
  };
  Calls calls(row, p, mode);
  const std::vector<Result> expected = waited_for(row.device, calls, [&](const Start& start) {
    return all(
        start, [] {}, [] {});
  });
  const Stream first(row.device), second(row.device);
  const std::array<cudaStream_t, 2> streams = {first.stream, second.stream};
  cudaEvent_t forked = nullptr, joined = nullptr;
  SSIM_ASSERT_CUDA(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
  SSIM_ASSERT_CUDA(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
  const auto started = [&] {
    return all([&](int i, int before, int stream) { return calls.start(i, before, streams[stream], stream); },
               [&] {
                 EXPECT_EQ(cudaEventRecord(forked, streams[0]), cudaSuccess);
                 EXPECT_EQ(cudaStreamWaitEvent(streams[1], forked, 0), cudaSuccess);
               },
               [&] {
                 EXPECT_EQ(cudaEventRecord(joined, streams[1]), cudaSuccess);
                 EXPECT_EQ(cudaStreamWaitEvent(streams[0], joined, 0), cudaSuccess);
               });
  };
  calls.poison();
  const Status s = started();
  ASSERT_TRUE(s) << s.message;
  first.wait();
  expect_same(calls.results(), expected, "two streams");

  SSIM_ASSERT_CUDA(cudaStreamBeginCapture(first.stream, cudaStreamCaptureModeGlobal));
  const Status captured = started();
  cudaGraph_t graph = nullptr;
  SSIM_ASSERT_CUDA(cudaStreamEndCapture(first.stream, &graph));
  ASSERT_TRUE(captured) << captured.message;
  cudaGraphExec_t replay = nullptr;
  SSIM_ASSERT_CUDA(cudaGraphInstantiate(&replay, graph, 0));
  for (int round = 0; round < 5; ++round) {
    calls.poison();
    for (int times = 0; times <= round % 2; ++times) {
      SSIM_ASSERT_CUDA(cudaGraphLaunch(replay, first.stream));
    }
    first.wait();
    expect_same(calls.results(), expected, "replay " + std::to_string(round));
  }
  SSIM_ASSERT_CUDA(cudaGraphExecDestroy(replay));
  SSIM_ASSERT_CUDA(cudaGraphDestroy(graph));
  SSIM_ASSERT_CUDA(cudaEventDestroy(forked));
  SSIM_ASSERT_CUDA(cudaEventDestroy(joined));
}

#endif

const RegisterTests registration([](Registrar& r) {
  on_rows(r, "stream_order", repeats, in_one_stream);
#if SSIM_WITH_CUDA
  on_rows(r, "stream_order_forked_graph", captured_on_card, in_a_forked_graph);
#endif
});

}  // namespace
}  // namespace ssim::verify
