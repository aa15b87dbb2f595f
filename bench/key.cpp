// SPDX-License-Identifier: MIT
#include "key.hpp"

#include <charconv>
#include <stdexcept>

namespace ssim::bench {

const char* to_string(Clock clock) {
  switch (clock) {
    case Clock::wall: return "wall";
    case Clock::cold: return "cold";
    case Clock::hot: return "hot";
    case Clock::graph: return "graph";
  }
  return "unknown";
}

namespace {

template <typename T>
bool parse_one_of(const std::string& text, std::initializer_list<T> values, T* out) {
  for (const T value : values) {
    if (text == to_string(value)) {
      *out = value;
      return true;
    }
  }
  return false;
}

}  // namespace

bool parse(const std::string& text, Clock* clock) {
  return parse_one_of(text, {Clock::wall, Clock::cold, Clock::hot, Clock::graph}, clock);
}
bool parse(const std::string& text, Mode* mode) {
  for (const Mode value : {Mode::infer, Mode::train}) {
    if (text == ssim::to_string(value)) return *mode = value, true;
  }
  return false;
}
bool parse(const std::string& text, Padding* padding) {
  for (const Padding value : {Padding::same, Padding::valid}) {
    if (text == ssim::to_string(value)) return *padding = value, true;
  }
  return false;
}

Shape parse_shape(const std::string& text) {
  Shape shape;
  std::int64_t* const sizes[] = {&shape.batch, &shape.channels, &shape.height, &shape.width};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 4; ++i) {
    const auto [next, error] = std::from_chars(at, end, *sizes[i]);
    const bool separated = i == 3 ? next == end : next != end && *next == 'x';
    if (error != std::errc{} || !separated || *sizes[i] < 1) {
      throw std::invalid_argument("shape '" + text + "' is not of the form BxCxHxW with four sizes >= 1");
    }
    at = next + 1;
  }
  return shape;
}

std::string to_string(const Shape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" +
         std::to_string(s.width);
}

std::string Key::text() const {
  return std::string(ssim::to_string(device)) + ":" + name + ":" + ssim::to_string(mode) + ":" +
         ssim::to_string(padding) + ":" + bench::to_string(shape) + ":" + bench::to_string(clock);
}

Problem Key::problem() const {
  Problem problem;
  problem.batch = shape.batch;
  problem.channels = shape.channels;
  problem.height = shape.height;
  problem.width = shape.width;
  problem.padding = padding;
  return problem;
}

void Key::write(Json& record) const {
  record["name"] = name;
  record["device"] = ssim::to_string(device);
  record["mode"] = ssim::to_string(mode);
  record["padding"] = ssim::to_string(padding);
  record["batch"] = shape.batch;
  record["channels"] = shape.channels;
  record["height"] = shape.height;
  record["width"] = shape.width;
  record["clock"] = bench::to_string(clock);
}

std::string key_text(const Json& record) {
  const auto text = [&](const char* field) { return record.at(field).get<std::string>(); };
  const auto number = [&](const char* field) { return std::to_string(record.at(field).get<std::int64_t>()); };
  return text("device") + ":" + text("name") + ":" + text("mode") + ":" + text("padding") + ":" + number("batch") +
         "x" + number("channels") + "x" + number("height") + "x" + number("width") + ":" + text("clock");
}

}  // namespace ssim::bench
