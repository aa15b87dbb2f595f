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
#include <string>
#include <vector>

#include "kernels/registry.hpp"
#include "stream_tests.hpp"

namespace ssim::verify {
namespace {

/// Some calls of one row, each with outputs of its own, and two workspaces.
class Calls {
 public:
  static constexpr int kCalls = 6;

  Calls(const Implementation& row, const Problem& p, Mode mode) : row_(row), problem_(p), mode_(mode) {
    const std::int64_t bytes = p.elements() * static_cast<std::int64_t>(sizeof(float));
    const ImagePair first = images(p, 0);
    y_ = Memory(row.device, bytes);
    y_.upload(first.y.data());
    // Gradients of about the size of images.
    weight_ = Memory(row.device, sizeof(float));
    const float weight = 0.1f * static_cast<float>(p.elements());
    weight_.upload(&weight);
    for (Memory& workspace : workspaces_) {
      workspace = Memory(row.device, row.workspace_bytes(p, mode));
      if (workspace.bytes() == 0) continue;
      const Status s = init_workspace(row.device, workspace.data(), workspace.bytes());
      if (!s) throw std::runtime_error(s.message);
    }
    for (int i = 0; i < kCalls; ++i) {
      images_.emplace_back(row.device, bytes);
      images_.back().upload(images(p, static_cast<std::uint64_t>(i)).x.data());
      means_.emplace_back(row.device, static_cast<std::int64_t>(sizeof(double)));
      if (mode == Mode::train) gradients_.emplace_back(row.device, bytes);
    }
    synchronize(row.device);
  }

  /// Outputs become NaN, so that who reads one before it is there has NaN.
  void poison() {
    for (Memory& mean : means_) mean.fill(0xFF);
    for (Memory& gradient : gradients_) gradient.fill(0xFF);
    synchronize(row_.device);
  }

  /// Call `i` of the image that call `before` gave, or of one of its own; with a workspace for each stream.
  Status start(int i, int before, void* stream, int workspace) {
    const bool train = mode_ == Mode::train;
    const Memory& memory = workspaces_[workspace];
    const Memory& x = train && before >= 0 ? gradients_[before] : images_[i];
    return call(row_, problem_, mode_,
                {.x = x.as<const float>(),
                 .y = y_.as<const float>(),
                 .weight = train ? weight_.as<const float>() : nullptr,
                 .mean = means_[i].as<double>(),
                 .grad_x = train ? gradients_[i].as<float>() : nullptr,
                 .workspace = memory.bytes() ? memory.data() : nullptr,
                 .workspace_bytes = memory.bytes(),
                 .stream = stream});
  }

  std::vector<Result> results() const {
    std::vector<Result> results;
    for (int i = 0; i < kCalls; ++i) {
      Result& result = results.emplace_back();
      means_[i].download(&result.mean);
      if (mode_ == Mode::train) result.gradient = gradients_[i].download<float>();
    }
    return results;
  }

 private:
  const Implementation& row_;
  const Problem problem_;
  const Mode mode_;
  Memory y_, weight_, workspaces_[2];
  std::vector<Memory> images_, means_, gradients_;
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

// A second stream forks off behind the first call and joins before the last: a kernel with two before it.
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
