// SPDX-License-Identifier: MIT
#include "stream.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ssim::bench {

ResultFile::~ResultFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void ResultFile::open(const std::string& path, std::int64_t keep_bytes) {
  path_ = path;
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw FileMisuse("--out: cannot write " + path + ": " + std::strerror(errno));
  const off_t length = ::lseek(descriptor_, 0, SEEK_END);
  if (length > keep_bytes && ::ftruncate(descriptor_, keep_bytes) != 0) {
    throw FileMisuse("--out: cannot cut the unfinished last line off " + path + ": " + std::strerror(errno));
  }
}

void ResultFile::write(const Json& record) {
  if (descriptor_ < 0) return;
  const std::string line = record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const off_t before = ::lseek(descriptor_, 0, SEEK_END);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t count = ::write(descriptor_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : ENOSPC;
      if (before >= 0 && done > 0) {
        // Half a line is of no use to anybody; should this fail too, a reader ignores an unfinished last line.
        [[maybe_unused]] const int ignored = ::ftruncate(descriptor_, before);
      }
      throw WriteFailure("cannot write to " + path_ + ": " + std::strerror(error) +
                         "; what was measured before is in the file, --resume goes on from it");
    }
    done += static_cast<std::size_t>(count);
  }
}

Progress read_progress(const std::string& path, const std::string& settings) {
  Progress progress;
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(status)) throw FileMisuse("--out: " + path + " is a folder; it must be a file");
  if (!std::filesystem::is_regular_file(status)) return progress;  // absent, or a device that keeps nothing
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileMisuse("--resume: cannot read " + path);
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  std::map<int, std::string> settings_of;  // process -> settings
  int line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    ++line_number;
    if (end == std::string::npos) break;  // the line that was being written
    const auto damaged = [&](const std::string& what) {
      return FileMisuse("--resume: " + path + " is damaged in line " + std::to_string(line_number) + ": " + what);
    };
    try {
      const Json record = Json::parse(text.substr(begin, end - begin));
      const std::string type = record.at("type").get<std::string>();
      if (line_number == 1 && type != "run") throw damaged("it must begin with a run record");
      if (type == "run") {
        if (record.at("schema") != 1) throw damaged("its schema is not 1");
        progress.last_process = record.at("process").get<int>();
        settings_of[progress.last_process] = record.at("settings").get<std::string>();
        progress.run = record;
      } else if (type == "samples") {
        const auto process = settings_of.find(record.at("process").get<int>());
        if (process == settings_of.end()) throw damaged("samples of a process without a run record");
        if (process->second == settings) {
          Earlier& earlier = progress.unfinished[key_text(record)];
          const auto seconds = record.at("seconds").get<std::vector<double>>();
          earlier.samples.insert(earlier.samples.end(), seconds.begin(), seconds.end());
          if (!seconds.empty()) ++earlier.rounds;
          earlier.discarded += record.value("discarded", 0);
          earlier.spent += record.value("spent_s", 0.0);
        }
      } else if (type == "row" || type == "skipped") {
        const std::string key = key_text(record);
        if (record.at("settings") == settings) {
          progress.finished.insert(key);
          if (type == "row" && !record.at("error").is_null()) progress.wrong.insert(key);
        }
      } else if (type != "ceilings" && type != "end" && type != "upstream" && type != "calibration") {
        throw damaged("unknown record type '" + type + "'");
      }
    } catch (const Json::exception& error) {
      throw damaged(error.what());
    }
    begin = end + 1;
    progress.valid_bytes = static_cast<std::int64_t>(begin);
  }
  for (const std::string& key : progress.finished) progress.unfinished.erase(key);
  return progress;
}

void require_same_run(const std::string& path, const Json& earlier, const Json& present) {
  const auto compare = [&](const std::string& field, const Json& was, const Json& is) {
    if (was == is) return;
    throw FileMisuse("--resume: " + path + " is of another run: " + field + " was " + was.dump() + " and is " +
                     is.dump() + "; give another --out or repeat without --resume");
  };
  compare("set", earlier.value("set", Json()), present.value("set", Json()));
  const Json& was = earlier.at("environment");
  const Json& is = present.at("environment");
  for (const char* field : {"device", "device_name", "driver", "cuda", "libtorch", "compiler", "flags", "threads",
                            "cpu", "commit", "dirty", "binary", "offset_bytes", "library"}) {
    compare(field, was.value(field, Json()), is.value(field, Json()));
  }
}

}  // namespace ssim::bench
