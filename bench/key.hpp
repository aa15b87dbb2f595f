// SPDX-License-Identifier: MIT
// What identifies a figure: row, device, mode, padding, shape and clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "kernels/implementation.hpp"

namespace ssim::bench {

using Json = nlohmann::ordered_json;

/// wall: host clock around the call and its synchronisation. cold: GPU events, L2 flushed before each call. hot: GPU
/// events around calls back to back. graph: GPU events around replays of a captured CUDA graph.
enum class Clock { wall, cold, hot, graph };

const char* to_string(Clock clock);
/// False where the text is none of "wall", "cold", "hot", "graph".
bool parse(const std::string& text, Clock* clock);
bool parse(const std::string& text, Mode* mode);
bool parse(const std::string& text, Padding* padding);

struct Shape {
  std::int64_t batch = 1, channels = 1, height = 1, width = 1;
  bool operator==(const Shape&) const = default;
  std::int64_t elements() const { return batch * channels * height * width; }
};

/// "BxCxHxW"; throws std::invalid_argument naming the text and the form where it is none.
Shape parse_shape(const std::string& text);
std::string to_string(const Shape& shape);

struct Key {
  std::string name;
  Device device = Device::cpu;
  Mode mode = Mode::infer;
  Padding padding = Padding::same;
  Shape shape;
  Clock clock = Clock::wall;

  /// "device:row:mode:padding:BxCxHxW:clock"
  std::string text() const;
  Problem problem() const;
  /// The fields name, device, mode, padding, batch, channels, height, width, clock, appended to a record.
  void write(Json& record) const;
};

/// text() of the key in a record; throws Json exceptions where a field is missing or of another type.
std::string key_text(const Json& record);

}  // namespace ssim::bench
