// SPDX-License-Identifier: MIT
// ssim_bench: times the rows of a set. README.md has the method and the format of the result file.
//
// Run: build/bench/ssim_bench --set smoke --out smoke.jsonl ; ./suite bench -- --help
// Exit status: 0 good; 1 a row was wrong, or writing failed; 2 misuse; 77 the device is not there; 130 interrupted.
#if defined(_OPENMP)
#include <omp.h>
#endif
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "baselines/all_rows.hpp"
#include "baselines/settings.hpp"
#include "calibration.hpp"
#include "cpu_timer.hpp"
#include "google.hpp"
#include "gpu.hpp"
#include "kernels/registry.hpp"
#include "options.hpp"
#include "profile.hpp"
#include "session.hpp"
#include "table.hpp"
#include "upstream_protocol.hpp"
#include "verify/build_info.hpp"
#include "verify/environment.hpp"

namespace ssim::bench {
namespace {

constexpr int kGood = 0, kWrong = 1, kMisuse = 2, kCannotRun = 77, kInterrupted = 130;

volatile std::sig_atomic_t g_stop = 0;

// "" if this build may be timed, else why not.
std::string refuse_build() {
#if !defined(NDEBUG)
  return "assertions are on (b_ndebug=false)";
#elif !defined(__OPTIMIZE__)
  return "the compiler's optimisation is off (buildtype=debug)";
#else
  return "";
#endif
}

// The first signal ends the run in order, the second at once (SA_RESETHAND).
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_stop = 1; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// OpenMP runtimes (there may be two: ours and LibTorch's own) and CUDA read their environment when they are loaded, so
// this must be right before the process starts: start again with it.
void fix_environment(char** argv, int threads) {
  bool right = true;
  const auto want = [&](const char* name, const std::string& value, bool even_if_set) {
    const char* const is = std::getenv(name);
    if (is && (!even_if_set || value == is)) return;
    setenv(name, value.c_str(), 1);
    right = false;
  };
  want("OMP_NUM_THREADS", std::to_string(threads), true);
  want("OMP_DYNAMIC", "false", true);
  want("CUDA_MODULE_LOADING", "EAGER", false);  // a kernel's first launch must not load it behind a delay kernel
  if (right || std::getenv("SSIM_BENCH_STARTED")) return;
  setenv("SSIM_BENCH_STARTED", "1", 1);
  execv("/proc/self/exe", argv);  // should it fail, omp_set_num_threads below still holds for our own rows
}

void apply_settings(Settings settings, Device device) {
  if (settings == Settings::best && device == Device::cpu) keep_pages();
  baselines::apply_settings(settings == Settings::best ? baselines::Settings::best : baselines::Settings::stock);
}

Device choose_device(const std::string& name) {
  if (name == "cpu") return Device::cpu;
  if (device_available(Device::cuda)) return Device::cuda;
  return name == "auto" ? Device::cpu : Device::cuda;
}

Json run_record(const Options& options, const Session::Setup& setup, int argc, char** argv, const Json& environment) {
  Json record;
  record["type"] = "run";
  record["schema"] = 1;
  record["process"] = setup.process;
  record["command"] = std::vector<std::string>(argv, argv + argc);
  record["settings"] = to_string(setup.settings);
  record["set"] = setup.set.name;
  record["filter"] = options.filter;
  record["seconds"] = setup.seconds;
  record["seed"] = setup.seed;
  record["rule"] = {{"half_width", setup.set.rule.half_width},     {"min_samples", setup.set.rule.min_samples},
                    {"min_samples_long", setup.set.rule.min_long}, {"long_call_s", setup.set.rule.long_call_seconds},
                    {"min_rounds", setup.set.rule.min_rounds},     {"max_cap_s", setup.set.rule.cap_seconds}};
  if (setup.set.rule.exact_rounds > 0) record["rule"]["rounds"] = setup.set.rule.exact_rounds;
  record["environment"] = environment;
  return record;
}

// What is run instead of a set: --calibrate, --upstream-protocol.
int run_special(const Options& options, const Session::Setup& setup, Gpu* gpu, const KeyFilter& wanted,
                ResultFile& file) {
  const auto stop = [] { return g_stop != 0; };
  int wrong = 0;
  if (options.calibrate > 0) {
    Json record = calibrate(setup.set.device, setup.threads, setup.seed, gpu, options.calibrate, stop);
    record.update({{"type", "calibration"}, {"process", setup.process}});
    file.write(record);
    if (options.out.empty()) std::printf("%s\n", record.dump(1).c_str());
  } else {
    int records = 0;
    wrong = run_upstream_protocol(
        setup.set.device, setup.threads, setup.seed, gpu, wanted,
        [&](Json record) {
          ++records;
          record["process"] = setup.process;
          record["settings"] = to_string(setup.settings);
          file.write(record);
        },
        stop);
    if (records == 0 && !g_stop) {
      std::fprintf(
          stderr, "--upstream-protocol: --filter '%s' matches none of its keys, device:row:mode:padding:5x1xDxD:wall\n",
          options.filter.c_str());
    }
  }
  file.write({{"type", "end"}, {"process", setup.process}, {"interrupted", g_stop != 0}});
  return g_stop ? kInterrupted : wrong > 0 ? kWrong : kGood;
}

int run(int argc, char** argv) {
  Options options = parse_options(argc, argv);
  if (options.help) {
    std::printf("%s", options.help_text.c_str());
    return kGood;
  }
  const int threads = options.threads > 0 ? options.threads : verify::available_cpus();
  fix_environment(argv, threads);
#if defined(_OPENMP)
  omp_set_num_threads(threads);
#endif
  const Device device = choose_device(options.device);
  std::string reason;
  const bool there = options.list || device_available(device, &reason);
  // A context takes tenths of a second to make, and disturbs nobody's turn: those who take turns make theirs together.
  if (there && !options.list && device == Device::cuda) verify::synchronize(device);
  options.turns.next();

  if (options.sets_file.empty()) options.sets_file = std::string(build::kSourceRoot) + "/bench/sets.json";
  ProblemSet set;
  try {
    set = read_set(options.sets_file, options.set, device);
  } catch (const std::invalid_argument& error) {
    throw Misuse(std::string("--set: ") + error.what());
  }
  set.rule.exact_rounds = options.rounds;
  const std::regex filter = parse_regex("--filter", options.filter);
  const KeyFilter by_google = google_filter(options);
  const auto wanted = [&](const Key& key) {
    if (!options.clocks.empty() &&
        std::find(options.clocks.begin(), options.clocks.end(), key.clock) == options.clocks.end()) {
      return false;
    }
    return std::regex_search(key.text(), filter) && by_google(key);
  };
  if (!there) {
    std::fprintf(stderr, "ssim_bench: --device %s cannot run here: %s\n", options.device.c_str(), reason.c_str());
    return kCannotRun;
  }
  const std::vector<Group> all = make_plan(set, all_rows(), options.settings, wanted);
  const bool special = options.calibrate > 0 || options.upstream_protocol;
  if (all.empty() && options.profile.empty() && !special) {
    const std::vector<Group> any = make_plan(set, all_rows(), options.settings, [](const Key&) { return true; });
    std::string message = "--filter '" + options.filter + "'";
    if (google_flag(options, "filter")) message += " with --benchmark_filter '" + *google_flag(options, "filter") + "'";
    message += " matches none of the keys of set " + set.name + " on " + ssim::to_string(device);
    if (!any.empty()) {
      message +=
          "; one of them is " + any[0].key(any[0].items[0], any[0].items[0].clocks[0]).text() + ", --list prints all";
    }
    throw Misuse(message);
  }
  if (options.list) {
    for (const Group& group : all) {
      for (const Group::Item& item : group.items) {
        for (const Clock clock : item.clocks) std::printf("%s\n", group.key(item, clock).text().c_str());
      }
    }
    return kGood;
  }
  std::unique_ptr<Gpu> gpu;
#if SSIM_BENCH_CUDA
  if (device == Device::cuda) gpu = make_gpu();
#endif
  apply_settings(options.settings, device);
  if (!options.profile.empty()) return run_profile(options, device, threads, gpu.get());
  if (google_flag(options, "list_tests").value_or("false") == "false") {
    std::string refused = refuse_build();
#if SSIM_BENCH_CUDA
    if (refused.empty()) refused = refuse_device_build();
#endif
    if (!refused.empty()) throw Misuse("this build is not for timing: " + refused);
  }

  const auto repetitions = google_flag(options, "repetitions");
  Session::Setup setup{.set = set,
                       .settings = options.settings,
                       .seconds = options.seconds > 0 ? options.seconds : set.seconds(options.settings),
                       .repetitions = repetitions ? std::max(1, std::atoi(repetitions->c_str())) : 1,
                       .threads = threads,
                       .seed = options.seed,
                       .offset = options.offset,
                       .spin_key = options.spin_key,
                       .spin_fraction = options.spin_fraction,
                       .stop_requested = [] { return g_stop != 0; },
                       .give_way = [&options] { return options.turns.next(); }};
  setup.seconds *= setup.repetitions;
  Json environment = verify::host_environment(device, threads);
  environment["torch_threads"] = baselines::torch_threads() > 0 ? Json(baselines::torch_threads()) : Json();
  if (options.offset != 0) environment["offset_bytes"] = options.offset;
  if (gpu) {
    gpu->warm_to_steady();
    gpu->describe(environment);
  }

  // What an earlier process has done already.
  Progress earlier;
  ResultFile file;
  if (!options.out.empty()) {
    std::error_code error;
    const auto size = std::filesystem::file_size(options.out, error);
    if (!options.resume && !error && size > 0) {
      throw Misuse("--out: " + options.out + " holds results already; add --resume to go on from it, or remove it");
    }
    earlier = read_progress(options.out, to_string(options.settings));
    setup.process = earlier.last_process + 1;
  }
  const Json run_line = run_record(options, setup, argc, argv, environment);
  if (!options.out.empty()) {
    if (!earlier.run.is_null()) require_same_run(options.out, earlier.run, run_line);
    file.open(options.out, earlier.valid_bytes);
  }
  std::vector<Group> groups = make_plan(set, all_rows(), options.settings, [&](const Key& key) {
    return wanted(key) && !earlier.finished.count(key.text());
  });
  int wrong_before = 0;
  for (const Group& group : all) {
    for (const Group::Item& item : group.items) {
      for (const Clock clock : item.clocks)
        wrong_before += static_cast<int>(earlier.wrong.count(group.key(item, clock).text()));
    }
  }

  stop_on_signals();
  file.write(run_line);
  if (special) return run_special(options, setup, gpu.get(), wanted, file);
  Ceilings ceilings;
  Outcome outcome;
  int wrong = wrong_before;
  if (!groups.empty()) {
    const bool listing = google_flag(options, "list_tests").value_or("false") != "false";
    if (!listing && options.ceilings) {
      ceilings = gpu ? gpu->ceilings() : cpu_ceilings(threads);
      Json record = {{"type", "ceilings"},
                     {"process", setup.process},
                     {"device", ssim::to_string(device)},
                     {"copy_gb_s", ceilings.copy_gb_s},
                     {"fma_gflop_s", ceilings.fma_gflop_s}};
      if (ceilings.tensor_gflop_s > 0) record["tensor_gflop_s"] = ceilings.tensor_gflop_s;
      file.write(record);
    }
    const int process = setup.process;
    Session session(std::move(setup), std::move(groups), gpu.get(), file, earlier.unfinished);
    outcome = run_google(options, argv[0], session, environment);
    wrong += session.wrong();
    file.write({{"type", "end"}, {"process", process}, {"interrupted", g_stop != 0}, {"spent_s", session.elapsed()}});
  } else {
    std::fprintf(stderr, "nothing is left to measure: %s holds all keys\n", options.out.c_str());
    file.write({{"type", "end"}, {"process", setup.process}, {"interrupted", false}});
  }
  if (options.google.empty()) std::printf("%s", table(outcome, ceilings).c_str());
  if (g_stop) {
    std::fprintf(stderr, "interrupted%s\n",
                 options.out.empty() ? "" : ("; --out " + options.out + " --resume goes on from here").c_str());
    return kInterrupted;
  }
  if (wrong > 0) {
    std::fprintf(stderr, "%d figure%s wrong or failed\n", wrong, wrong == 1 ? " is" : "s are");
    return kWrong;
  }
  return kGood;
}

}  // namespace
}  // namespace ssim::bench

int main(int argc, char** argv) {
  try {
    return ssim::bench::run(argc, argv);
  } catch (const ssim::bench::Misuse& error) {
    std::fprintf(stderr, "ssim_bench: %s\n", error.what());
    return ssim::bench::kMisuse;
  } catch (const ssim::bench::FileMisuse& error) {
    std::fprintf(stderr, "ssim_bench: %s\n", error.what());
    return ssim::bench::kMisuse;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ssim_bench: %s\n", error.what());
    return ssim::bench::kWrong;
  }
}
