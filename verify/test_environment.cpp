// SPDX-License-Identifier: MIT
// Rows where programs put them: other streams, CUDA graphs, several host threads, a second card, after somebody else's
// error, with no memory left, in forked processes, with any number of threads. Every row, by the contract alone;
// results are bitwise those of a call on its own (where the row promises to repeat itself), in buffers that were
// poisoned before. (The LibTorch operator's own: python/tests/test_environment.py.)
//
// Cost: seconds. Run: ./suite test --filter '^environment'
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "kernels/registry.hpp"
#include "oracle.hpp"
#include "stream_tests.hpp"

namespace ssim::verify {
namespace {

// Threads of the host, each with a workspace of its own (and on a card with a stream of its own): four calls each, of
// different images, begun together.
void two_host_threads(const Implementation& row, const Problem& p, Mode mode) {
  constexpr int kThreads = 2, kRounds = 4;
  std::array<ImagePair, kThreads> pairs;
  std::array<Result, kThreads> expected, got;
  std::array<std::string, kThreads> wrong;
  std::array<std::unique_ptr<PreparedCall>, kThreads> calls;
  std::array<std::unique_ptr<Stream>, kThreads> streams;
  for (int i = 0; i < kThreads; ++i) {
    pairs[i] = images(p, static_cast<std::uint64_t>(i));
    expected[i] = alone(row, p, mode, pairs[i]);
    calls[i] = std::make_unique<PreparedCall>(row, p, mode);
    calls[i]->upload(pairs[i].x, pairs[i].y);
    streams[i] = std::make_unique<Stream>(row.device);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      try {
        for (int round = 0; round < kRounds; ++round) {
          if (const Status s = calls[i]->start(streams[i]->stream); !s) wrong[i] = s.message;
        }
        streams[i]->wait();
      } catch (const std::exception& error) {
        wrong[i] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  synchronize(row.device);
  for (int i = 0; i < kThreads; ++i) {
    EXPECT_EQ(wrong[i], "");
    EXPECT_TRUE(same(row, calls[i]->result(), expected[i])) << "thread " << i;
    EXPECT_EQ(calls[i]->damage(), "");
  }
}

void a_forked_child_computes_the_same(const Implementation& row, const Problem& p, Mode mode) {
  if (!find_row(row.device, row.name)) {
    return skip("fork is a promise of the rows of kernels/; the operator's test is python/tests/test_environment.py");
  }
  const ImagePair im = images(p, 0);
  const Result expected = alone(row, p, mode, im);  // the parent has used its threads
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(60);  // a child that hangs is killed, and so fails
    bool good = false;
    try {
      good = same(row, alone(row, p, mode, im), expected);
    } catch (...) {
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "the child was killed by signal " << (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "the child's result differs";
  EXPECT_TRUE(same(row, alone(row, p, mode, im), expected)) << "the parent's after it";
}

std::string bits(const Result& r) {
  std::uint64_t hash = 14695981039346656037u;
  const auto take = [&](const void* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(from)[i]) * 1099511628211u;
  };
  take(&r.mean, sizeof r.mean);
  take(r.gradient.data(), r.gradient.size() * sizeof(float));
  char text[80];
  std::snprintf(text, sizeof text, "%.17g %016llx", r.mean, static_cast<unsigned long long>(hash));
  return text;
}

// Prints what the test below compares: in a process of its own, since OpenMP reads its environment when it is loaded.
void print_bits(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = images(p, 0);
  const Result r = alone(row, p, mode, im);
  EXPECT_NEAR(r.mean, oracle(p, im.x.data(), im.y.data()).mean, 1e-5);
  const std::string test = key(row) + ":" + to_string(mode) + ":" + to_string(p.padding);
  std::printf("BITS %s %s\n", test.c_str(), bits(r).c_str());
}

/// What all rows print with so many threads: a line for each test of that kind.
const std::string& bits_with(const std::string& threads) {
  static std::map<std::string, std::string> known;
  std::string& output = known[threads];
  if (!output.empty()) return output;
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  const std::string program(self, length > 0 ? static_cast<std::size_t>(length) : 0);
  const std::string command = "OMP_NUM_THREADS=" + threads + " '" + program + "' --match '^environment_bits[.]' 2>&1";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return output = "popen failed";
  for (char line[512]; std::fgets(line, sizeof line, pipe);) output += line;
  const int status = pclose(pipe);
  return output += "exit status " + std::to_string(status) + "\n";
}

std::string line_of(const std::string& output, const std::string& test) {
  const std::size_t at = output.find("BITS " + test + " ");
  return at == std::string::npos ? "" : output.substr(at, output.find('\n', at) - at);
}

// 1, 2, odd, and more than there are cores.
void omp_num_threads(const Implementation& row, const Problem& p, Mode mode) {
  const std::string test = key(row) + ":" + to_string(mode) + ":" + to_string(p.padding);
  const std::string one = line_of(bits_with("1"), test);
  EXPECT_NE(one, "") << bits_with("1");
  for (const char* threads : {"2", "3", "7"}) {
    const std::string other = line_of(bits_with(threads), test);
    EXPECT_NE(other, "") << bits_with(threads);  // it has run, and its mean was right
    // LibTorch's parallel loops, and a user's, may add up in another order.
    if (find_row(row.device, row.name)) {
      EXPECT_EQ(other, one) << threads << " threads";
    }
  }
}

#if SSIM_WITH_CUDA

// A stream that does not wait for the default one, outputs and workspace full of three kinds of rubbish.
void side_stream_with_poisoned_memory(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = images(p, 0);
  const Result expected = alone(row, p, mode, im, -0.75f);
  for (const unsigned char poison : {0xFF, 0x7E, 0x01}) {
    PreparedCall one(row, p, mode);
    one.upload(im.x, im.y, -0.75f);
    one.poison(poison);
    const Stream side(row.device);
    const Status s = one.start(side.stream);
    ASSERT_TRUE(s) << s.message;
    side.wait();
    EXPECT_TRUE(same(row, one.result(), expected)) << "poison " << static_cast<int>(poison);
    EXPECT_EQ(one.damage(), "");
  }
}

// Calls that run at the same time, of several streams in turn, each with a workspace of its own.
void overlapping_calls(const Implementation& row, const Problem& p, Mode mode) {
  constexpr int kStreams = 3, kRounds = 10;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::unique_ptr<PreparedCall>> calls;
  std::vector<Result> expected;
  for (int i = 0; i < kStreams; ++i) {
    const ImagePair im = images(p, static_cast<std::uint64_t>(i));
    expected.push_back(alone(row, p, mode, im));
    calls.push_back(std::make_unique<PreparedCall>(row, p, mode));
    calls.back()->upload(im.x, im.y);
    streams.push_back(std::make_unique<Stream>(row.device));
  }
  for (int i = 0; i < kStreams; ++i) calls[i]->poison();
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kStreams; ++i) {
      const Status s = calls[i]->start(streams[i]->stream);
      ASSERT_TRUE(s) << s.message;
    }
  }
  synchronize(row.device);
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_TRUE(same(row, calls[i]->result(), expected[i])) << "stream " << i;
    EXPECT_EQ(calls[i]->damage(), "");
  }
}

// Captured once; replayed over images and a weight that have changed meanwhile.
void graph_of_changed_inputs(const Implementation& row, const Problem& p, Mode mode) {
  if (!row.capturable) return skip(key(row) + " allocates, which a capture without memory of its own does not allow");
  const ImagePair first = images(p, 0);
  PreparedCall one(row, p, mode);
  one.upload(first.x, first.y);
  const Stream side(row.device);
  ASSERT_TRUE(one.start(side.stream));  // whatever is loaded or asked for once
  side.wait();
  SSIM_ASSERT_CUDA(cudaStreamBeginCapture(side.stream, cudaStreamCaptureModeGlobal));
  const Status captured = one.start(side.stream);
  cudaGraph_t graph = nullptr;
  SSIM_ASSERT_CUDA(cudaStreamEndCapture(side.stream, &graph));
  ASSERT_TRUE(captured) << captured.message;
  cudaGraphExec_t replay = nullptr;
  SSIM_ASSERT_CUDA(cudaGraphInstantiate(&replay, graph, 0));
  for (std::uint64_t which = 1; which <= 3; ++which) {
    const ImagePair im = images(p, which);
    const float weight = which == 1 ? 1.0f : which == 2 ? -2.5f : 0.0f;
    one.upload(im.x, im.y, weight);
    one.poison();
    SSIM_ASSERT_CUDA(cudaGraphLaunch(replay, side.stream));
    if (which == 3) {
      SSIM_ASSERT_CUDA(cudaGraphLaunch(replay, side.stream));  // twice in a row
    }
    side.wait();
    EXPECT_TRUE(same(row, one.result(), alone(row, p, mode, im, weight))) << "images " << which;
    EXPECT_EQ(one.damage(), "");
  }
  SSIM_ASSERT_CUDA(cudaGraphExecDestroy(replay));
  SSIM_ASSERT_CUDA(cudaGraphDestroy(graph));
}

// The device that is current is the one that works, whatever others have done before; and it stays current.
void second_card(const Implementation& row, const Problem& p, Mode mode) {
  int count = 0, before = 0;
  SSIM_ASSERT_CUDA(cudaGetDeviceCount(&count));
  if (count < 2) return skip("fewer than two CUDA devices");
  SSIM_ASSERT_CUDA(cudaGetDevice(&before));
  cudaDeviceProp here, there;
  const int other = before == 0 ? 1 : 0;
  SSIM_ASSERT_CUDA(cudaGetDeviceProperties(&here, before));
  SSIM_ASSERT_CUDA(cudaGetDeviceProperties(&there, other));
  const ImagePair im = images(p, 0);
  const Result expected = alone(row, p, mode, im);
  SSIM_ASSERT_CUDA(cudaSetDevice(other));
  Result got;
  std::string error;
  int current = -1;
  try {
    got = alone(row, p, mode, im);
    cudaGetDevice(&current);
    // In turn, so that nothing that is remembered of one is used for the other.
    cudaSetDevice(before);
    EXPECT_TRUE(same(row, alone(row, p, mode, im), expected)) << "the first card after the second";
    cudaSetDevice(other);
    EXPECT_TRUE(same_bits(alone(row, p, mode, im), got) || !row.repeatable) << "the second card once more";
  } catch (const std::exception& e) {
    error = e.what();
  }
  SSIM_ASSERT_CUDA(cudaSetDevice(before));
  EXPECT_EQ(error, "");
  EXPECT_EQ(current, other) << "the current device changed";
  if (std::string(here.name) == there.name && here.multiProcessorCount == there.multiProcessorCount) {
    EXPECT_TRUE(same(row, got, expected)) << "two cards of one kind, " << here.name;
  } else {
    EXPECT_NEAR(got.mean, expected.mean, 1e-6) << here.name << ", " << there.name;
  }
}

// An error that somebody else has left behind is neither reported as the row's nor does it change the result.
void after_an_error(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = images(p, 0);
  const Result expected = alone(row, p, mode, im);
  PreparedCall one(row, p, mode);
  one.upload(im.x, im.y);
  ASSERT_NE(cudaSetDevice(9999), cudaSuccess);
  ASSERT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
  const Status s = one.start();
  const cudaError_t left = cudaGetLastError();  // LibTorch would report it with its own next kernel
  synchronize(row.device);
  if (row.capturable) {
    EXPECT_TRUE(s) << s.message;
    EXPECT_TRUE(left == cudaErrorInvalidDevice || left == cudaSuccess) << cudaGetErrorString(left);
  }
  if (s) {
    EXPECT_TRUE(same(row, one.result(), expected));
  }
  EXPECT_TRUE(same(row, alone(row, p, mode, im), expected)) << "the call after it";
}

// All memory of the card is taken. What allocates nothing works; what does says what it lacks, and works afterwards.
void out_of_memory(const Implementation& row, const Problem& p, Mode mode) {
  const ImagePair im = images(p, 0);
  const Result expected = alone(row, p, mode, im);
  PreparedCall one(row, p, mode);
  one.upload(im.x, im.y);
  ASSERT_TRUE(one.start());  // kernels are loaded when they are first called
  synchronize(row.device);
  std::vector<void*> taken;
  for (std::size_t bytes = std::size_t{1} << 34; bytes >= 4096; bytes /= 2) {
    void* memory = nullptr;
    while (cudaMalloc(&memory, bytes) == cudaSuccess) taken.push_back(memory);
    cudaGetLastError();
  }
  one.poison();
  const auto begin_and_wait = [&]() -> std::string {
    try {
      const Status s = one.start();
      synchronize(row.device);
      return s.message;
    } catch (const std::exception& error) {
      return error.what();
    }
  };
  const std::string message = begin_and_wait();
  const bool refused = [&] {
    try {
      const Memory more(row.device, std::int64_t{1} << 30);
      return false;
    } catch (const std::bad_alloc&) {
      return true;
    }
  }();
  const Result got = one.result();
  for (void* memory : taken) cudaFree(memory);
  EXPECT_TRUE(refused) << "there was memory left";
  if (message.empty()) {
    EXPECT_TRUE(same(row, got, expected));
  } else {
    EXPECT_TRUE(!row.capturable) << "a row that allocates nothing failed: " << message;
    EXPECT_NE(message.find("memory"), std::string::npos) << message;
  }
  cudaGetLastError();
  EXPECT_TRUE(same(row, alone(row, p, mode, im), expected)) << "the next call";
}

#endif

const RegisterTests registration([](Registrar& r) {
  on_rows(r, "environment_two_host_threads", any, two_host_threads);
  on_rows(r, "environment_fork", on_host, a_forked_child_computes_the_same);
  on_rows(r, "environment_bits", on_host, print_bits);
  on_rows(r, "environment_omp_num_threads", on_host, omp_num_threads);
#if SSIM_WITH_CUDA
  on_rows(r, "environment_side_stream", on_card, side_stream_with_poisoned_memory);
  on_rows(r, "environment_overlapping_calls", on_card, overlapping_calls);
  on_rows(r, "environment_graph", on_card, graph_of_changed_inputs);
  on_rows(r, "environment_second_card", on_card, second_card);
  on_rows(r, "environment_after_an_error", on_card, after_an_error);
  on_rows(r, "environment_out_of_memory", on_card, out_of_memory);
#endif
});

}  // namespace
}  // namespace ssim::verify
