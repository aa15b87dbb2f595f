// SPDX-License-Identifier: MIT
#include "profile.hpp"

#include <cstdio>

#include "baselines/all_rows.hpp"
#include "nvtx.hpp"
#include "verify/check.hpp"
#include "verify/memory.hpp"

namespace ssim::bench {

int run_profile(const Options& options, Device device, int threads, Gpu* gpu) {
  Key key{.name = {},
          .device = device,
          .mode = options.profile_mode,
          .padding = options.profile_padding,
          .shape = options.profile_shape};
  const Problem problem = key.problem();
  if (const Status status = check(problem); !status) throw Misuse(std::string("--shape: ") + status.message);
  std::vector<const Implementation*> rows;
  for (const std::string& name : options.profile) {
    std::string known;
    const Implementation* found = nullptr;
    for (const Implementation& row : all_rows()) {
      if (row.device != device) continue;
      known += (known.empty() ? "" : ", ") + row.name;
      if (row.name == name) found = &row;
    }
    if (!found) {
      throw Misuse("--profile: no row '" + name + "' on device " + ssim::to_string(device) + "; there are: " + known);
    }
    if (const std::string reason = found->supports(problem, key.mode); !reason.empty()) {
      throw Misuse("--profile: " + ssim::key(*found, problem, key.mode) + ": " + reason);
    }
    rows.push_back(found);
  }

  const verify::Case images(device, problem, "uniform", options.seed, options.offset);
  for (const Implementation* row : rows) {
    const std::string name = ssim::key(*row, problem, key.mode);
    const verify::Verdict verdict = verify::verify_row(*row, images, key.mode);
    if (!verdict.ok) {
      std::fprintf(stderr, "error: %s is wrong: %s\n", name.c_str(), verdict.message.c_str());
      return 1;
    }
    const std::int64_t bytes = row->workspace_bytes(problem, key.mode);
    void* const stream = gpu ? gpu->stream() : nullptr;
    const verify::Memory mean(device, sizeof(double));
    const verify::Memory grad(device, problem.elements() * static_cast<std::int64_t>(sizeof(float)));
    verify::Memory workspace;
    if (bytes > 0) {
      workspace = verify::Memory(device, bytes);
      verify::synchronize(device);  // the memory's own fill may be on another stream
      if (const Status status = init_workspace(device, workspace.data(), bytes, stream); !status) {
        throw std::runtime_error(status.message);
      }
    }
    verify::synchronize(device);
    const Arguments arguments{.x = images.x(),
                              .y = images.y(),
                              .mean = mean.as<double>(),
                              .grad_x = grad.as<float>(),
                              .workspace = workspace.data(),
                              .workspace_bytes = bytes,
                              .stream = stream,
                              .threads = threads};
    Status status;
    if (gpu) gpu->profile(true);
    {
      key.name = row->name;
      const Range range(range_name(key) + ":profile");
      for (int i = 0; i < options.profile_calls && status; ++i) status = call(*row, problem, key.mode, arguments);
      verify::synchronize(device);
    }
    if (gpu) gpu->profile(false);
    if (!status) throw std::runtime_error(status.message);
    const Cost cost = row->cost(problem, key.mode);
    const Json model = {{"dram_bytes", cost.dram_bytes}, {"fma", cost.fma}, {"launches", cost.launches}};
    std::printf("profiled %s\nmodel %s\n", name.c_str(), model.dump().c_str());
  }
  return 0;
}

}  // namespace ssim::bench
