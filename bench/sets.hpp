// SPDX-License-Identifier: MIT
// Sets of problems, read from sets.json, and the plan that a set makes with the rows of this build.
#pragma once

#include <string>
#include <vector>

#include "kernels/implementation.hpp"
#include "key.hpp"
#include "stopping.hpp"

namespace ssim::bench {

enum class Settings { best, stock };
const char* to_string(Settings settings);
bool parse(const std::string& text, Settings* settings);

/// One block of a set: shapes, and which rows, modes, paddings and clocks they are for.
struct Block {
  std::vector<Shape> shapes;
  std::string rows;         // regular expression that the whole row name must match; "" = all
  bool candidates = false;  // only rows that production may run
  std::vector<Mode> modes;
  std::vector<Padding> paddings;
  std::vector<Clock> clocks;
  std::vector<Settings> settings;  // the passes that have it
};

/// A set on one device.
struct ProblemSet {
  std::string name;
  Device device = Device::cpu;
  double seconds_best = 0, seconds_stock = 0;  // wall time of a pass with these settings
  StoppingRule rule;                           // cap_seconds is the largest cap that a row may get
  std::vector<Block> blocks;
  double seconds(Settings settings) const { return settings == Settings::best ? seconds_best : seconds_stock; }
};

/// Reads one set. Throws std::invalid_argument with the file, the field and what is allowed; an unknown set names those
/// that there are.
ProblemSet read_set(const std::string& path, const std::string& name, Device device);

/// Figures of one problem and mode, measured side by side.
struct Group {
  Shape shape;
  Padding padding = Padding::same;
  Mode mode = Mode::infer;
  struct Item {
    const Implementation* row = nullptr;
    std::vector<Clock> clocks;
  };
  std::vector<Item> items;
  int keys() const;
  Key key(const Item& item, Clock clock) const;
  Problem problem() const;
};

/// Decides about every key; false leaves it out.
using KeyFilter = std::function<bool(const Key&)>;

/// All groups of the set: shapes in the order of their elements, then padding, then mode. `stock` times the baselines,
/// production and tiled alone. Keys that several blocks name appear once.
std::vector<Group> make_plan(const ProblemSet& set, const std::vector<Implementation>& rows, Settings settings,
                             const KeyFilter& keep);

}  // namespace ssim::bench
