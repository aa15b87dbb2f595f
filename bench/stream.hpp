// SPDX-License-Identifier: MIT
// The result file: JSON lines, appended one write a line, so that a killed run loses at most the line being written.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "key.hpp"

namespace ssim::bench {

/// The file cannot be used: unwritable, damaged, of another run. Exit status 2.
struct FileMisuse : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Writing failed half-way, e.g. a full disk. Exit status 1; everything written before stays.
struct WriteFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ResultFile {
 public:
  ResultFile() = default;
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;
  /// Opens for appending. `keep_bytes`: length of the valid part; what lies beyond is cut off.
  void open(const std::string& path, std::int64_t keep_bytes);
  bool is_open() const { return descriptor_ >= 0; }
  /// One line, one write. A line that could not be written whole is taken back.
  void write(const Json& record);

 private:
  std::string path_;
  int descriptor_ = -1;
};

/// What an earlier process left unfinished or finished of one key.
struct Earlier {
  std::vector<double> samples;
  int rounds = 0;
  int discarded = 0;
  double spent = 0;
};

/// What a result file holds for one setting.
struct Progress {
  int last_process = 0;            // 0: none yet
  std::set<std::string> finished;  // key texts that have a row or a skipped record
  std::set<std::string> wrong;     // of these, those whose row has an error
  std::map<std::string, Earlier> unfinished;
  Json run;                      // the last run record, of any settings; null where there is none
  std::int64_t valid_bytes = 0;  // up to the end of the last whole line
};

/// Reads a result file. A last line without its newline is ignored; damage anywhere else throws FileMisuse with the
/// line number. An absent file is an empty one.
Progress read_progress(const std::string& path, const std::string& settings);

/// Throws FileMisuse naming the first field in which a file's run and the present one differ. The two passes of a
/// report, best and stock, may share a file.
void require_same_run(const std::string& path, const Json& earlier, const Json& present);

}  // namespace ssim::bench
