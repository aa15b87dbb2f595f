// SPDX-License-Identifier: MIT
// What a call of the LibTorch operator costs the host, and what it keeps on the device for the backward.
//
// Host cost is the time until the calls are enqueued: on CUDA kBatch calls back to back, few enough to fit into the
// device's queue, and the wait for them outside of the clock. On the CPU the kernel is part of the call; the lines
// `production` are the same kernel without LibTorch, so the difference is the operator's; the lines `autograd` are
// forward and backward of a node that computes nothing, so the difference to those of the operator is ours.
// Google Benchmark repeats and prints medians:
//
//     build/bench/ssim_operator_cost --device cuda
//     build/bench/ssim_operator_cost --device cpu --shape 1x1x32x32 --benchmark_filter=forward
//
// Exit status: 0 measured, 2 misuse, 77 no such device.
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>
#include <c10/core/Allocator.h>
#include <c10/core/AutogradState.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/registry.hpp"
#include "kernels/torch/bridge.hpp"
#include "kernels/torch/fused_ssim.hpp"
#include "kernels/torch/node.hpp"
#include "kernels/torch/switches.hpp"
#include "key.hpp"

#if SSIM_TORCH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace ssim::bench {
namespace {

constexpr int kBatch = 64, kBatches = 30;

void wait(Device device) {
#if SSIM_TORCH_CUDA
  if (device == Device::cuda) C10_CUDA_CHECK(cudaDeviceSynchronize());
#endif
  (void)device;
}

/// Bytes that LibTorch's allocators have handed out and not got back while it lives.
class Allocated : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override { bytes += size; }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t bytes = 0;
};

struct Images {
  at::Tensor x, leaf, y, one;
};

Images make_images(Device device, const Shape& shape) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(torch_bridge::torch_device(device));
  const at::Tensor x = at::rand({shape.batch, shape.channels, shape.height, shape.width}, options);
  at::Tensor leaf = x.clone();
  leaf.set_requires_grad(true);
  return {x, leaf, at::rand_like(x), at::ones({}, options)};
}

/// The kernel alone, as a caller without LibTorch would run it.
class Bare {
 public:
  Bare(Device device, Mode mode, const Images& images)
      : device_(device),
        mode_(mode),
        problem_{.batch = images.x.size(0),
                 .channels = images.x.size(1),
                 .height = images.x.size(2),
                 .width = images.x.size(3)},
        images_(images) {
    const std::int64_t bytes = workspace_bytes(device, problem_, mode);
    const auto byte_options = images.x.options().dtype(at::kByte);
    memory_ = at::zeros({bytes + 2 * kWorkspaceAlignment}, byte_options);
    gradient_ = at::empty_like(images.x);
    char* begin = static_cast<char*>(memory_.mutable_data_ptr());
    begin += -reinterpret_cast<std::uintptr_t>(begin) % kWorkspaceAlignment;
    arguments_ = {.x = images.x.const_data_ptr<float>(),
                  .y = images.y.const_data_ptr<float>(),
                  .mean = reinterpret_cast<double*>(begin),
                  .grad_x = mode == Mode::train ? gradient_.mutable_data_ptr<float>() : nullptr,
                  .workspace = begin + kWorkspaceAlignment,
                  .workspace_bytes = bytes,
                  .threads = at::get_num_threads()};
  }
  void operator()() const {
    const Status status =
        mode_ == Mode::train ? value_and_grad(device_, problem_, arguments_) : value(device_, problem_, arguments_);
    TORCH_CHECK(status, status.message);
  }

 private:
  Device device_;
  Mode mode_;
  Problem problem_;
  Images images_;
  at::Tensor memory_, gradient_;
  Arguments arguments_;
};

/// What LibTorch itself needs for a step: a node that computes nothing hands over a gradient that nobody fills.
struct EmptyNode final : torch::autograd::Node {
  at::Tensor gradient;
  std::string name() const override { return "EmptyNode"; }
  torch::autograd::variable_list apply(torch::autograd::variable_list&&) override { return {std::move(gradient)}; }
};

void empty_step(const Images& images) {
  images.leaf.mutable_grad().reset();
  const auto node = op::make_node<EmptyNode>();
  node->set_next_edges(torch::autograd::collect_next_edges(images.leaf));
  node->gradient = at::empty_like(images.x);
  at::Tensor result = images.one.detach();
  torch::autograd::set_history(result, node);
  result.backward();
}

/// Without the thread that autograd keeps for the device, as under torch.autograd.set_multithreading_enabled(False).
void in_one_thread(const std::function<void()>& step) {
  const bool before = c10::AutogradState::get_tls_state().get_multithreading_enabled();
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  step();
  c10::AutogradState::get_tls_state().set_multithreading_enabled(before);
}

void measure(benchmark::State& state, Device device, const std::function<void()>& call) {
  for (int i = 0; i < kBatch; ++i) call();
  wait(device);
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kBatch; ++i) call();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(seconds.count() / kBatch);
    wait(device);
  }
}

void add(const std::string& name, Device device, const std::function<void()>& call) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { measure(state, device, call); })
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond)
      ->Iterations(kBatches)
      ->Repetitions(9)
      ->ReportAggregatesOnly(true);
}

void add_all(Device device, const Shape& shape) {
  const Images images = make_images(device, shape);
  const auto name = [&](const char* what) {
    return std::string(to_string(device)) + ":" + what + ":" + to_string(shape);
  };
  add(name("production:infer"), device, Bare(device, Mode::infer, images));
  add(name("production:train"), device, Bare(device, Mode::train, images));
  add(name("operator:forward_no_grad"), device, [images] {
    const at::NoGradGuard no_grad;
    fused_ssim(images.leaf, images.y);
  });
  add(name("operator:forward"), device, [images] { fused_ssim(images.leaf, images.y); });
  const auto step = [images] {
    images.leaf.mutable_grad().reset();
    fused_ssim(images.leaf, images.y).backward();
  };
  add(name("operator:forward_backward"), device, step);
  add(name("operator:forward_backward_one_thread"), device, [step] { in_one_thread(step); });
  add(name("autograd:empty_node"), device, [images] { empty_step(images); });
  add(name("autograd:empty_node_one_thread"), device, [images] { in_one_thread([&] { empty_step(images); }); });
  add(name("operator:forward_backward_of_given_factor"), device, [images] {
    images.leaf.mutable_grad().reset();
    fused_ssim(images.leaf, images.y).backward(images.one);
  });
  add(name("operator_recompute:forward_backward"), device, [step] {
    const op::SwitchScope switched({.backward = op::Backward::recompute});
    step();
  });
  add(name("operator:with_grad"), device, [images] { fused_ssim_with_grad(images.x, images.y); });
  add(name("operator:with_grad_of_number"), device,
      [images] { fused_ssim_with_grad(images.x, images.y, "same", -0.2); });
  add(name("operator:with_grad_of_tensor"), device,
      [images] { fused_ssim_with_grad(images.x, images.y, "same", images.one); });
}

/// Bytes that a forward keeps until its backward, beside its result.
void print_memory(Device device, op::Backward backward, const Shape& shape) {
  const op::SwitchScope switched({.backward = backward});
  const Images images = make_images(device, shape);
  fused_ssim(images.leaf, images.y).backward();
  wait(device);
  const auto allocated = std::make_shared<Allocated>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, allocated);
  const at::Tensor result = fused_ssim(images.leaf, images.y);
  std::printf("%s:%s:%s keeps %.4f words of 4 bytes an element for the backward, the result included\n",
              to_string(device), backward == op::Backward::scale ? "operator" : "operator_recompute",
              to_string(shape).c_str(),
              static_cast<double>(allocated->bytes) / 4 / static_cast<double>(shape.elements()));
}

int run(int argc, char** argv) {
  CLI::App app{
      "Host cost of the LibTorch operator: time to enqueue, per call. --benchmark_* flags go to Google Benchmark."};
  app.name("ssim_operator_cost");
  app.allow_extras();
  std::string device_name = "cpu", shape_text = "1x1x32x32";
  app.add_option("--device", device_name, "cpu or cuda")->type_name("NAME")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--shape", shape_text, "Of the images; small ones show the host's part")->type_name("BxCxHxW");
  Shape shape;
  try {
    app.parse(argc, argv);
    shape = parse_shape(shape_text);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "ssim_operator_cost: --shape: %s\n", error.what());
    return 2;
  }
  const Device device = device_name == "cuda" ? Device::cuda : Device::cpu;
  std::string reason = torch_bridge::runs_on(device);
  if (reason.empty()) device_available(device, &reason);
  if (!reason.empty()) {
    std::fprintf(stderr, "ssim_operator_cost: %s\n", reason.c_str());
    return 77;
  }
  std::vector<std::string> rest = app.remaining();
  rest.insert(rest.begin(), "ssim_operator_cost");
  std::vector<char*> pointers;
  for (std::string& argument : rest) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  for (const auto backward : {op::Backward::scale, op::Backward::recompute}) {
    print_memory(device, backward, {1, 3, 256, 256});
  }
  add_all(device, shape);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace ssim::bench

int main(int argc, char** argv) {
  try {
    return ssim::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ssim_operator_cost: %s\n", error.what());
    return 1;
  }
}
