// SPDX-License-Identifier: MIT
#include "sets.hpp"

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <stdexcept>

#include "kernels/production.hpp"

namespace ssim::bench {
namespace {

std::invalid_argument bad(const std::string& path, const std::string& what) {
  return std::invalid_argument(path + ": " + what);
}

template <typename T>
std::vector<T> read_list(const Json& block, const char* field, std::vector<T> fallback, const char* allowed) {
  if (!block.contains(field)) return fallback;
  std::vector<T> values;
  for (const Json& text : block.at(field)) {
    T value;
    if (!parse(text.get<std::string>(), &value)) {
      throw std::invalid_argument(std::string(field) + ": '" + text.get<std::string>() + "' is none of " + allowed);
    }
    values.push_back(value);
  }
  return values;
}

Block read_block(const Json& json, Device device) {
  for (const auto& [field, value] : json.items()) {
    static const std::set<std::string> known = {"shapes", "cross",    "rows",   "candidates",
                                                "modes",  "paddings", "clocks", "settings"};
    if (!known.count(field)) {
      throw std::invalid_argument("unknown field '" + field + "' in a block; allowed: shapes, cross, rows, " +
                                  "candidates, modes, paddings, clocks, settings");
    }
  }
  Block block;
  if (json.contains("shapes")) {
    for (const Json& text : json.at("shapes")) block.shapes.push_back(parse_shape(text.get<std::string>()));
  }
  if (json.contains("cross")) {
    const Json& cross = json.at("cross");
    for (const Json& size : cross.at("size")) {
      for (const Json& batch : cross.at("batch")) {
        for (const Json& channels : cross.at("channels")) {
          block.shapes.push_back(parse_shape(std::to_string(batch.get<std::int64_t>()) + "x" +
                                             std::to_string(channels.get<std::int64_t>()) + "x" +
                                             size.get<std::string>()));
        }
      }
    }
  }
  if (block.shapes.empty()) throw std::invalid_argument("a block without shapes");
  block.rows = json.value("rows", "");
  block.candidates = json.value("candidates", false);
  block.modes = read_list<Mode>(json, "modes", {Mode::infer, Mode::train}, "infer, train");
  block.paddings = read_list<Padding>(json, "paddings", {Padding::same, Padding::valid}, "same, valid");
  const std::vector<Clock> all = device == Device::cuda
                                     ? std::vector<Clock>{Clock::cold, Clock::hot, Clock::graph, Clock::wall}
                                     : std::vector<Clock>{Clock::wall};
  block.clocks = read_list<Clock>(json, "clocks", all, "wall, cold, hot, graph");
  block.settings = read_list<Settings>(json, "settings", {Settings::best, Settings::stock}, "best, stock");
  for (const Clock clock : block.clocks) {
    if (std::find(all.begin(), all.end(), clock) == all.end()) {
      throw std::invalid_argument(std::string("clock ") + to_string(clock) + " does not exist on device " +
                                  ssim::to_string(device));
    }
  }
  return block;
}

}  // namespace

const char* to_string(Settings settings) { return settings == Settings::best ? "best" : "stock"; }

bool parse(const std::string& text, Settings* settings) {
  for (const Settings value : {Settings::best, Settings::stock}) {
    if (text == to_string(value)) return *settings = value, true;
  }
  return false;
}

ProblemSet read_set(const std::string& path, const std::string& name, Device device) {
  std::ifstream file(path);
  if (!file) throw bad(path, "cannot be read");
  ProblemSet set{.name = name, .device = device, .rule = {}, .blocks = {}};
  try {
    const Json json = Json::parse(file);
    if (json.at("schema") != 1) throw std::invalid_argument("schema must be 1");
    const Json& sets = json.at("sets");
    if (!sets.contains(name)) {
      std::string known;
      for (const auto& [key, value] : sets.items()) known += (known.empty() ? "" : ", ") + key;
      throw std::invalid_argument("no set '" + name + "'; there are: " + known);
    }
    const char* const on = ssim::to_string(device);
    if (!sets.at(name).contains(on)) {
      throw std::invalid_argument("set '" + name + "' has nothing for device " + std::string(on));
    }
    const Json& part = sets.at(name).at(on);
    set.seconds_best = part.at("seconds").at("best").get<double>();
    set.seconds_stock = part.at("seconds").at("stock").get<double>();
    set.rule.half_width = part.at("half_width").get<double>();
    set.rule.cap_seconds = part.at("max_cap").get<double>();
    for (const double value : {set.seconds_best, set.seconds_stock, set.rule.half_width, set.rule.cap_seconds}) {
      if (!(value > 0)) throw std::invalid_argument("seconds, half_width and max_cap must be above 0");
    }
    for (const Json& block : part.at("blocks")) set.blocks.push_back(read_block(block, device));
  } catch (const Json::exception& error) {
    throw bad(path, error.what());
  } catch (const std::invalid_argument& error) {
    throw bad(path, error.what());
  }
  return set;
}

int Group::keys() const {
  int count = 0;
  for (const Item& item : items) count += static_cast<int>(item.clocks.size());
  return count;
}

Key Group::key(const Item& item, Clock clock) const {
  return {item.row->name, item.row->device, mode, padding, shape, clock};
}

Problem Group::problem() const { return Key{.name = {}, .padding = padding, .shape = shape}.problem(); }

std::vector<Group> make_plan(const ProblemSet& set, const std::vector<Implementation>& rows, Settings settings,
                             const KeyFilter& keep) {
  std::vector<Shape> shapes;
  for (const Block& block : set.blocks) {
    for (const Shape& shape : block.shapes) {
      if (std::find(shapes.begin(), shapes.end(), shape) == shapes.end()) shapes.push_back(shape);
    }
  }
  // Small problems first: what they leave of their time goes to the large ones.
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const Shape& a, const Shape& b) { return a.elements() < b.elements(); });
  std::vector<std::regex> row_filters;
  for (const Block& block : set.blocks) row_filters.emplace_back(block.rows.empty() ? ".*" : block.rows);
  const auto has = [](const auto& list, auto value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };

  std::vector<Group> groups;
  for (const Shape& shape : shapes) {
    for (const Padding padding : {Padding::same, Padding::valid}) {
      for (const Mode mode : {Mode::infer, Mode::train}) {
        Group group{shape, padding, mode, {}};
        for (const Implementation& row : rows) {
          if (row.device != set.device) continue;
          // The stock baselines are held against the rows that claims are about.
          const bool claimed = row.baseline || row.name == "production" || row.name == "tiled";
          if (settings == Settings::stock && !claimed) continue;
          Group::Item item{&row, {}};
          for (const Clock clock : {Clock::cold, Clock::hot, Clock::graph, Clock::wall}) {
            for (std::size_t b = 0; b < set.blocks.size(); ++b) {
              const Block& block = set.blocks[b];
              if (!has(block.shapes, shape) || !has(block.modes, mode) || !has(block.paddings, padding) ||
                  !has(block.clocks, clock) || !has(block.settings, settings) ||
                  !std::regex_match(row.name, row_filters[b]) || (block.candidates && !candidate(row))) {
                continue;
              }
              if (keep(group.key(item, clock))) item.clocks.push_back(clock);
              break;
            }
          }
          if (!item.clocks.empty()) group.items.push_back(item);
        }
        if (!group.items.empty()) groups.push_back(group);
      }
    }
  }
  return groups;
}

}  // namespace ssim::bench
