// SPDX-License-Identifier: MIT
// A program without torch: prints the mean SSIM of two pictures and the sum of the gradient's squares.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <fused_ssim/ssim.hpp>

int main() {
  ssim::Problem problem;
  problem.batch = 2, problem.channels = 3, problem.height = 40, problem.width = 50;
  problem.padding = ssim::Padding::valid;
  std::vector<float> x, y, gradient(problem.elements());
  for (long i = 0; i < problem.elements(); ++i) {
    x.push_back(static_cast<float>(i * 37 % 256) / 255);
    y.push_back(static_cast<float>(i * 11 % 256) / 255);
  }
  const auto bytes = ssim::workspace_bytes(ssim::Device::cpu, problem, ssim::Mode::train);
  void* workspace = std::aligned_alloc(ssim::kWorkspaceAlignment,
                                       (bytes / ssim::kWorkspaceAlignment + 1) * ssim::kWorkspaceAlignment);
  double mean = 0;
  ssim::Arguments arguments;
  arguments.x = x.data(), arguments.y = y.data(), arguments.mean = &mean, arguments.grad_x = gradient.data();
  arguments.workspace = workspace, arguments.workspace_bytes = bytes;
  ssim::Status status = ssim::init_workspace(ssim::Device::cpu, workspace, bytes);
  if (status) status = ssim::value_and_grad(ssim::Device::cpu, problem, arguments);
  std::free(workspace);
  if (!status) {
    std::fprintf(stderr, "%s\n", status.message);
    return 1;
  }
  double squares = 0;
  for (const float g : gradient) squares += static_cast<double>(g) * g;
  std::printf("%.9f %.9e\n", mean, squares);
}
