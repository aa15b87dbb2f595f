// SPDX-License-Identifier: MIT
// Host clock, no warm-up, one loop of 100 calls and one synchronisation behind it, images 5x1xDxD (tests/test.py of
// fused-ssim 0ac916a). The backward is the loop of training steps less the loop of inferences. Weak where an operation
// is short: what is timed is then the host. It is here so that published figures can be met on their own ground; no
// claim is judged by it. One thing differs: a row is verified first, so what only a first call pays is not in it.
#include "upstream_protocol.hpp"

#include <cstdio>

#include "baselines/all_rows.hpp"
#include "cpu_timer.hpp"
#include "preparation.hpp"
#include "progress.hpp"

namespace ssim::bench {
namespace {

constexpr int kLoop = 100;
constexpr std::int64_t kBatch = 5, kSizes[] = {128, 256, 512, 1024, 1500};
// A row of which one loop would take longer is left out: it says so.
constexpr double kMostLoop = 60;

}  // namespace

int run_upstream_protocol(Device device, int threads, std::uint64_t seed, Gpu* gpu,
                          const std::function<bool(const Key&)>& wanted, const std::function<void(Json)>& write,
                          const std::function<bool()>& stop_requested) {
  ProgressLine progress;
  int wrong = 0;
  std::printf("the published benchmark's own protocol: host clock, loops of %d, 5x1xDxD, backward by subtraction\n",
              kLoop);
  std::printf("%-18s %-8s %6s %14s %14s\n", "row", "padding", "D", "forward ms", "backward ms");
  for (const std::int64_t size : kSizes) {
    for (const Padding padding : {Padding::same, Padding::valid}) {
      Preparation preparation(device, seed, threads, gpu);
      for (const Implementation& row : all_rows()) {
        if (row.device != device || stop_requested()) continue;
        double seconds[2] = {-1, -1};
        Json record;
        record["type"] = "upstream";
        std::string reason;
        for (const Mode mode : {Mode::infer, Mode::train}) {
          Group group{{kBatch, 1, size, size}, padding, mode, {{&row, {Clock::wall}}}};
          const Key key = group.key(group.items[0], Clock::wall);
          if (!wanted(key)) continue;
          if (mode == Mode::infer || !record.contains("name")) key.write(record);
          progress.show(0, 1, key.text(), kMostLoop);
          if (reason = preparation.begin(group); !reason.empty()) break;
          const auto [candidate, skipped] =
              preparation.prepare(group, group.items[0], 3 * kMostLoop / kLoop, "a loop of 100");
          if (!candidate) {
            reason = skipped;
            break;
          }
          if (!candidate->error.empty()) {
            reason = candidate->error;
            ++wrong;
            break;
          }
          const double begin = steady_seconds();
          for (int i = 0; i < kLoop; ++i) candidate->call();
          if (gpu) gpu->synchronize();
          seconds[mode == Mode::train] = (steady_seconds() - begin) / kLoop;
        }
        progress.clear();
        if (!record.contains("name")) continue;
        record["loop"] = kLoop;
        record["forward_s"] = seconds[0] >= 0 ? Json(seconds[0]) : Json();
        record["training_s"] = seconds[1] >= 0 ? Json(seconds[1]) : Json();
        record["backward_s"] = seconds[0] >= 0 && seconds[1] >= 0 ? Json(seconds[1] - seconds[0]) : Json();
        record["reason"] = reason.empty() ? Json() : Json(reason.substr(0, reason.find('\n')));
        write(record);
        if (!reason.empty() || seconds[0] < 0 || seconds[1] < 0) continue;
        std::printf("%-18s %-8s %6lld %14.4f %14.4f\n", row.name.c_str(), ssim::to_string(padding),
                    static_cast<long long>(size), 1e3 * seconds[0], 1e3 * (seconds[1] - seconds[0]));
      }
    }
  }
  return wrong;
}

}  // namespace ssim::bench
