// SPDX-License-Identifier: MIT
#include "options.hpp"

#include <fcntl.h>

#include <CLI/CLI.hpp>

namespace ssim::bench {
namespace {

template <typename T>
T parse_choice(const std::string& flag, const std::string& text, const std::string& allowed) {
  T value;
  if (!parse(text, &value)) throw Misuse(flag + ": '" + text + "' is none of " + allowed);
  return value;
}

}  // namespace

std::regex parse_regex(const std::string& flag, const std::string& text) {
  try {
    return std::regex(text);
  } catch (const std::regex_error& error) {
    throw Misuse(flag + ": '" + text + "' is no regular expression: " + error.what());
  }
}

std::optional<std::string> google_flag(const Options& options, const std::string& name) {
  const std::string flag = "--benchmark_" + name;
  std::optional<std::string> value;
  for (const std::string& given : options.google) {
    if (given == flag) value = "true";
    if (given.rfind(flag + "=", 0) == 0) value = given.substr(flag.size() + 1);
  }
  return value;
}

Options parse_options(int argc, const char* const* argv) {
  Options options;
  CLI::App app{
      "Times the rows of a set: each verified on the problem, then sampled in rounds until its median is known.\n"
      "Example: ssim_bench --set smoke --filter ':(production|pytorch_mssim):train:' --out smoke.jsonl"};
  app.name("ssim_bench");
  app.set_help_flag("");
  app.allow_extras();
  std::string settings = "best", mode = "train", padding = "same", shape = "1x3x1080x1920";
  std::vector<std::string> clocks;
  app.add_flag("-h,--help", options.help, "This text; --benchmark_help lists Google Benchmark's flags");
  app.add_option("--device", options.device, "auto (a GPU if there is one), cpu or cuda")->type_name("NAME");
  app.add_option("--set", options.set, "Set of problems: smoke, claim or sweep")->type_name("NAME");
  app.add_option("--sets-file", options.sets_file, "Where the sets are; the default is bench/sets.json")
      ->type_name("FILE");
  app.add_option("--filter", options.filter, "Searched in device:row:mode:padding:BxCxHxW:clock")->type_name("REGEX");
  app.add_option("--clock", clocks, "Only these clocks: wall, cold, hot, graph (comma-separated)")
      ->delimiter(',')
      ->type_name("NAME");
  app.add_option("--settings", settings, "Baselines at their best (kept pages, cudnn.benchmark) or stock")
      ->type_name("NAME");
  app.add_option("--out", options.out, "Result file, JSON lines (bench/README.md)")->type_name("FILE");
  app.add_flag("--resume", options.resume, "Go on from what --out holds already");
  app.add_option("--threads", options.threads, "CPU threads; the default is all that this process may use")
      ->type_name("N");
  app.add_option("--seconds", options.seconds, "Time for the whole set instead of the set's own")->type_name("S");
  app.add_option("--seed", options.seed, "Of the images and of the order in the rounds")->type_name("N");
  app.add_option("--offset", options.offset,
                 "Images and gradient lie this many bytes behind an aligned address: 0, 4, 8 or 12")
      ->type_name("BYTES");
  app.add_flag("--no-ceilings{false}", options.ceilings,
               "Leave out the ceilings: a comparison of two builds needs none");
  app.add_option("--spin-key", options.spin_key,
                 "Plant a slow-down: behind each call of this key, inside what is timed")
      ->type_name("KEY");
  app.add_option("--spin", options.spin_fraction, "With --spin-key: its length, as a part of the row's median")
      ->type_name("X");
  std::vector<int> turns;
  app.add_option("--turns", turns,
                 "Open descriptors IN,OUT: before each turn a byte is written to OUT and one awaited from IN")
      ->delimiter(',')
      ->expected(2)
      ->type_name("IN,OUT");
  app.add_option("--rounds", options.rounds, "So many rounds for every row, whether its figure has settled or not")
      ->type_name("N");
  app.add_option("--calibrate", options.calibrate,
                 "Instead of a set: what the timer resolves, what delay and flush do, drift over S seconds")
      ->type_name("S");
  app.add_flag("--upstream-protocol", options.upstream_protocol,
               "Instead of a set: the published benchmark's protocol (host clock, loops of 100, 5x1xDxD)");
  app.add_flag("--list", options.list, "Print the keys and time nothing");
  app.add_option("--profile", options.profile, "For a profiler: one launch of each row, no time printed")
      ->type_name("ROW");
  app.add_option("--calls", options.profile_calls, "With --profile: calls instead of one, for a counter of a process")
      ->type_name("N");
  app.add_option("--shape", shape, "With --profile")->type_name("BxCxHxW");
  app.add_option("--mode", mode, "With --profile: infer or train")->type_name("NAME");
  app.add_option("--padding", padding, "With --profile: same or valid")->type_name("NAME");
  options.help_text = app.help();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    throw Misuse(std::string(error.what()) + "; --help lists the flags");
  }
  for (const std::string& extra : app.remaining()) {
    if (extra.rfind("--benchmark_", 0) != 0) {
      throw Misuse("unknown argument '" + extra + "'; allowed are the flags of --help and --benchmark_*");
    }
    options.google.push_back(extra);
  }
  if (options.device != "auto" && options.device != "cpu" && options.device != "cuda") {
    throw Misuse("--device: '" + options.device + "' is none of auto, cpu, cuda");
  }
  if (settings != "best" && settings != "stock") {
    throw Misuse("--settings: '" + settings + "' is none of best, stock");
  }
  options.settings = settings == "best" ? Settings::best : Settings::stock;
  if (options.threads < 0 || options.threads > 4096) {
    throw Misuse("--threads: " + std::to_string(options.threads) + " must be 0 (all) to 4096");
  }
  if (options.offset < 0 || options.offset > 12 || options.offset % 4 != 0) {
    throw Misuse("--offset: " + std::to_string(options.offset) + " is none of 0, 4, 8, 12");
  }
  if (options.offset != 0 && (options.calibrate > 0 || options.upstream_protocol)) {
    throw Misuse("--offset goes with a set or --profile");
  }
  if (app.count("--spin-key") && !app.count("--spin")) throw Misuse("--spin-key needs --spin X, the length");
  if (app.count("--spin") && options.spin_key.empty())
    throw Misuse("--spin needs --spin-key KEY, the row to slow down");
  if (!(options.spin_fraction >= 0 && options.spin_fraction <= 10)) {
    throw Misuse("--spin: " + std::to_string(options.spin_fraction) + " must be 0 to 10");
  }
  if (app.count("--rounds") && !(options.rounds >= 1 && options.rounds <= 1000)) {
    throw Misuse("--rounds: " + std::to_string(options.rounds) + " must be 1 to 1000");
  }
  for (const int descriptor : turns) {
    if (fcntl(descriptor, F_GETFD) < 0) throw Misuse("--turns: " + std::to_string(descriptor) + " is not open");
  }
  if (!turns.empty()) options.turns = Turns(turns[0], turns[1]);
  if (app.count("--calibrate") && !(options.calibrate > 0 && options.calibrate <= 3600)) {
    throw Misuse("--calibrate: " + std::to_string(options.calibrate) + " must be above 0 and at most 3600 seconds");
  }
  if (options.profile_calls < 1 || options.profile_calls > 1'000'000) {
    throw Misuse("--calls: " + std::to_string(options.profile_calls) + " must be 1 to 1000000");
  }
  if (options.calibrate > 0 && options.upstream_protocol) {
    throw Misuse("--calibrate and --upstream-protocol exclude each other");
  }
  if (app.count("--seconds") && !(options.seconds > 0)) throw Misuse("--seconds must be above 0");
  for (const std::string& text : clocks) {
    options.clocks.push_back(parse_choice<Clock>("--clock", text, "wall, cold, hot, graph"));
  }
  options.profile_mode = parse_choice<Mode>("--mode", mode, "infer, train");
  options.profile_padding = parse_choice<Padding>("--padding", padding, "same, valid");
  try {
    options.profile_shape = parse_shape(shape);
  } catch (const std::invalid_argument& error) {
    throw Misuse(std::string("--shape: ") + error.what());
  }
  if (options.profile.empty()) {
    for (const char* flag : {"--shape", "--mode", "--padding", "--calls"}) {
      if (app.count(flag)) throw Misuse(std::string(flag) + " goes with --profile ROW");
    }
  }
  parse_regex("--filter", options.filter);
  if (options.resume && options.out.empty()) throw Misuse("--resume needs --out FILE, the file to go on from");
  const auto repetitions = google_flag(options, "repetitions");
  if (!options.out.empty() && repetitions && *repetitions != "1") {
    throw Misuse("--out takes one measurement a key, --benchmark_repetitions=" + *repetitions +
                 " makes several; use --benchmark_out for those");
  }
  return options;
}

}  // namespace ssim::bench
