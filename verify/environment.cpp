// SPDX-License-Identifier: MIT
#include "environment.hpp"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "verify/build_info.hpp"

namespace ssim::verify {
namespace {

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  utsname name{};
  return uname(&name) == 0 ? name.machine : "";
}

// FNV-1a of a file; "" where it cannot be read.
std::string file_hash(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  std::uint64_t hash = 14695981039346656037ull;
  std::string block(1 << 16, '\0');
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    for (std::streamsize i = 0; i < file.gcount(); ++i) {
      hash = (hash ^ static_cast<unsigned char>(block[static_cast<std::size_t>(i)])) * 1099511628211ull;
    }
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// From git where the source folder is itself a repository; else from SUITE_COMMIT, "-dirty" at its end meaning so.
void add_commit(Json& environment) {
  const std::string root = build::kSourceRoot;
  const std::string git = "git -C " + quoted(root) + " ";
  std::error_code error;
  if (std::filesystem::exists(root + "/.git", error)) {
    const std::string commit = command_output(git + "rev-parse HEAD 2>/dev/null");
    if (!commit.empty()) {
      environment["commit"] = commit;
      environment["dirty"] = !command_output(git + "status --porcelain --untracked-files=no 2>/dev/null").empty();
      return;
    }
  }
  std::string commit = std::getenv("SUITE_COMMIT") ? std::getenv("SUITE_COMMIT") : "";
  const std::string suffix = "-dirty";
  const bool dirty = commit.size() > suffix.size() && commit.ends_with(suffix);
  if (dirty) commit.resize(commit.size() - suffix.size());
  environment["commit"] = or_null(commit);
  environment["dirty"] = commit.empty() ? Json() : Json(dirty);
}

}  // namespace

std::string command_output(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return "";
  std::string text;
  char block[512];
  while (const std::size_t count = std::fread(block, 1, sizeof block, pipe)) text.append(block, count);
  if (pclose(pipe) != 0) return "";
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

int available_cpus() {
  cpu_set_t mask;
  int count = 1;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = std::max(1, CPU_COUNT(&mask));
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0) {
    count = std::clamp(static_cast<int>(std::ceil(std::atof(quota.c_str()) / period)), 1, count);
  }
  return count;
}

Json host_environment(Device device, int threads) {
  Json environment;
  environment["device"] = ssim::to_string(device);
  environment["device_name"] = or_null(cpu_model());  // card.hpp puts the card's name here
  for (const char* field : {"driver", "cuda"}) environment[field] = Json();
  environment["libtorch"] = or_null(build::kLibTorch);
  environment["compiler"] = build::kCompiler;
  environment["cuda_compiler"] = or_null(build::kCudaCompiler);
  environment["flags"] = build::kFlags;
  environment["cuda_flags"] = or_null(build::kCudaFlags);
  environment["threads"] = threads;
  environment["cpu"] = or_null(cpu_model());
  environment["cpus"] = available_cpus();
  for (const char* field : {"power_limit_w", "ecc", "sm_clock_mhz"}) environment[field] = Json();
  utsname name{};
  if (uname(&name) == 0) environment["system"] = std::string(name.sysname) + " " + name.release + " " + name.machine;
  environment["suite"] = build::kVersion;
  add_commit(environment);
  // Two builds of one commit with other edits or flags are not the same run, nor are two builds of a user's library.
  environment["binary"] = or_null(file_hash("/proc/self/exe"));
  const char* library = std::getenv("SUITE_LIBRARY");
  environment["library"] = library && *library ? or_null(file_hash(library)) : Json();
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
  environment["date"] = date;
  return environment;
}

}  // namespace ssim::verify
