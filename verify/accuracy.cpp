// SPDX-License-Identifier: MIT
// ssim_accuracy: the worst error of every row on every input class, as a table.
//
//   build/verify/ssim_accuracy [--filter REGEX] [--out FILE.md|FILE.json] [--seeds N]
//
// The filter is searched in "device:row". Each figure is the worst over both paddings, three shapes and N seeds, and
// over forty random problems (random_case.hpp). Exit status: 0, 1 where a row is outside its tolerance (the table is
// written all the same), 2 misuse, 77 no row can run.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>

#include "baselines/all_rows.hpp"
#include "check.hpp"
#include "compare.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "random_case.hpp"
#include "tolerance.hpp"

namespace ssim::verify {
namespace {

struct Worst {
  double mean = 0, loss = 0, gradient = 0, unit = 0, corner = 0, edge = 0, interior = 0;
  double mean_share = 0, gradient_share = 0;  // of what is allowed
  std::string place;
  int failures = 0, cases = 0;
};

using Table = std::vector<std::pair<const Implementation*, std::map<std::string, Worst>>>;

void add(Worst& worst, const Verdict& v, const Case& c) {
  ++worst.cases;
  if (!v.ok) {
    ++worst.failures;
    std::fprintf(stderr, "%s\n", v.message.c_str());
  }
  if (v.gradient_error > worst.gradient && v.worst >= 0) {
    const Problem& p = c.problem();
    worst.place = std::to_string(p.height) + "x" + std::to_string(p.width) + " " + to_string(p.padding) + ", " +
                  place(p, v.worst);
  }
  worst.mean = std::max(worst.mean, v.mean_error);
  worst.loss = std::max(worst.loss, v.loss_error);
  worst.gradient = std::max(worst.gradient, v.gradient_error);
  worst.unit = std::max(worst.unit, v.gradient_unit_error);
  worst.corner = std::max(worst.corner, v.gradient_corner);
  worst.edge = std::max(worst.edge, v.gradient_edge);
  worst.interior = std::max(worst.interior, v.gradient_interior);
  worst.mean_share = std::max(worst.mean_share, v.mean_share);
  worst.gradient_share = std::max(worst.gradient_share, v.gradient_share);
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1e", value);
  return value == 0 ? "0" : text;
}

void write_markdown(std::ostream& out, const Table& table) {
  out << "# Worst errors of each row on each input class\n\n"
         "Mean: absolute. 1 - SSIM: relative. Gradient: in units of its own RMS (`local`: of its peak; 1/N where it is "
         "zero), and in units of 1/N. Of tolerance: of mean and gradient, the largest part of what "
         "verify/tolerance.cpp allows.\n";
  for (const auto& [row, classes] : table) {
    out << "\n## " << key(*row) << "\n\n"
        << "| class | mean | 1 - SSIM | gradient | · N | corner | edge | interior | worst at | of tolerance |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n";
    for (const InputClass& c : input_classes()) {
      const auto found = classes.find(c.name);
      if (found == classes.end()) continue;
      const Worst& w = found->second;
      out << "| " << c.name << (w.failures ? " **outside tolerance**" : "") << " | " << number(w.mean) << " | "
          << number(w.loss) << " | " << number(w.gradient) << " | " << number(w.unit) << " | " << number(w.corner)
          << " | " << number(w.edge) << " | " << number(w.interior) << " | " << w.place << " | " << number(w.mean_share)
          << ", " << number(w.gradient_share) << " |\n";
    }
  }
}

void write_json(std::ostream& out, const Table& table) {
  out << "{\"schema\": 1, \"rows\": [";
  const char* comma = "";
  for (const auto& [row, classes] : table) {
    for (const auto& [name, w] : classes) {
      const Tolerance allowed = tolerance(*row, name);
      out << comma << "\n  {\"device\": \"" << to_string(row->device) << "\", \"name\": \"" << row->name
          << "\", \"class\": \"" << name << "\", \"mean\": " << w.mean << ", \"loss\": " << w.loss
          << ", \"gradient\": " << w.gradient << ", \"gradient_unit\": " << w.unit << ", \"corner\": " << w.corner
          << ", \"mean_share\": " << w.mean_share << ", \"gradient_share\": " << w.gradient_share
          << ", \"mean_allowed\": " << allowed.mean << ", \"gradient_allowed\": " << allowed.gradient
          << ", \"edge\": " << w.edge << ", \"interior\": " << w.interior << ", \"worst_at\": \"" << w.place
          << "\", \"cases\": " << w.cases << ", \"failures\": " << w.failures << "}";
      comma = ",";
    }
  }
  out << "\n]}\n";
}

int run(int argc, char** argv) {
  std::string filter, path;
  int seeds = 2;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help") {
      std::puts("ssim_accuracy [--filter REGEX] [--out FILE.md|FILE.json] [--seeds N]");
      return 0;
    }
    if (i + 1 >= argc || (flag != "--filter" && flag != "--out" && flag != "--seeds")) {
      std::fprintf(stderr, "ssim_accuracy: %s: known are --filter REGEX, --out FILE, --seeds N\n", argv[i]);
      return 2;
    }
    const std::string value = argv[++i];
    if (flag == "--filter") filter = value;
    if (flag == "--out") path = value;
    if (flag == "--seeds") seeds = std::atoi(value.c_str());
  }
  if (seeds < 1) {
    std::fprintf(stderr, "ssim_accuracy: --seeds must be at least 1\n");
    return 2;
  }
  std::regex expression;
  try {
    expression = std::regex(filter);
  } catch (const std::regex_error& error) {
    std::fprintf(stderr, "ssim_accuracy: --filter '%s' is not a regular expression: %s\n", filter.c_str(),
                 error.what());
    return 2;
  }
  Table table;
  bool any_matches = false;
  for (const Implementation& row : all_rows()) {
    if (!std::regex_search(key(row), expression)) continue;
    any_matches = true;
    std::string reason;
    if (device_available(row.device, &reason)) {
      table.push_back({&row, {}});
    } else {
      std::fprintf(stderr, "skipped %s: %s\n", key(row).c_str(), reason.c_str());
    }
  }
  if (!any_matches) {
    std::fprintf(stderr, "ssim_accuracy: --filter '%s' matches no row\n", filter.c_str());
    return 2;
  }
  if (table.empty()) return 77;
  const std::int64_t shapes[][4] = {{2, 3, 37, 53}, {1, 1, 19, 37}, {1, 1, 64, 96}};
  int failures = 0;
  const auto examine = [&](Device device, const Case& one) {
    for (auto& [row, classes] : table) {
      if (row->device != device || (row->baseline && one.problem().elements() > most_elements(*row))) continue;
      const Mode mode = row->supports(one.problem(), Mode::train).empty() ? Mode::train : Mode::infer;
      if (!row->supports(one.problem(), mode).empty()) continue;
      const Verdict verdict = verify_row(*row, one, mode);
      add(classes[one.input_class()], verdict, one);
      failures += !verdict.ok;
    }
  };
  for (const Device device : {Device::cpu, Device::cuda, Device::cuda_emulated}) {
    if (std::none_of(table.begin(), table.end(), [&](const auto& e) { return e.first->device == device; })) continue;
    for (const InputClass& c : input_classes()) {
      std::fprintf(stderr, "%s: %s\n", to_string(device), c.name);
      for (std::uint64_t i = 0; i < 40; ++i) {
        const RandomCase random = draw_case(i, 6000);
        examine(device, Case(device, random.spec.problem, c.name, random.seed, random.spec.offset));
      }
      for (const auto& s : shapes) {
        for (int seed = 1; seed <= seeds; ++seed) {
          for (const Padding padding : {Padding::same, Padding::valid}) {
            const Problem p{.batch = s[0], .channels = s[1], .height = s[2], .width = s[3], .padding = padding};
            const Case one(device, p, c.name, static_cast<std::uint64_t>(seed));
            examine(device, one);
          }
        }
      }
    }
  }
  std::ostringstream text;
  if (path.size() > 5 && path.substr(path.size() - 5) == ".json") {
    write_json(text, table);
  } else {
    write_markdown(text, table);
  }
  if (path.empty()) {
    std::cout << text.str();
  } else if (std::ofstream file(path); !(file << text.str()) || !file.flush()) {
    std::fprintf(stderr, "ssim_accuracy: cannot write %s\n", path.c_str());
    return 2;
  }
  return failures ? 1 : 0;
}

}  // namespace
}  // namespace ssim::verify

int main(int argc, char** argv) {
  try {
    return ssim::verify::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "ssim_accuracy: %s\n", error.what());
    return 1;
  }
}
