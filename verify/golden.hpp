// SPDX-License-Identifier: MIT
// The pairs of images of which golden/skimage.json has the SSIM.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "inputs.hpp"

namespace ssim::verify {

struct GoldenPair {
  std::string name;
  Problem problem;
  std::vector<float> x, y;
  double ssim;
};

/// The four degradations of golden/make_skimage.py, in fp32 as there.
inline std::vector<float> golden_degradation(const Photograph& photo, const std::string& how) {
  std::vector<float> y(photo.rgb.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float v = photo.rgb[i];
    if (how == "darker") y[i] = 0.8f * v;
    if (how == "inverted") y[i] = 1.0f - v;
    if (how == "steps") y[i] = std::floor(v * 8.0f + 0.5f) / 8.0f;
    if (how == "shift") y[i] = i % static_cast<std::size_t>(photo.width) ? photo.rgb[i - 1] : v;
  }
  return y;
}

/// All pairs of one padding.
inline std::vector<GoldenPair> golden_pairs(Padding padding) {
  std::ifstream file(std::string(SSIM_GOLDEN) + "/skimage.json");
  if (!file) throw std::runtime_error("cannot read " SSIM_GOLDEN "/skimage.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  std::vector<GoldenPair> pairs;
  for (const auto& entry : golden.at("values")) {
    if (entry.at("padding") != to_string(padding)) continue;
    for (const Photograph& photo : photographs()) {
      if (entry.at("photograph") != photo.name) continue;
      const std::string how = entry.at("degradation");
      pairs.push_back({photo.name + " " + how + " " + to_string(padding),
                       {.batch = 1, .channels = 3, .height = photo.height, .width = photo.width, .padding = padding},
                       photo.rgb,
                       golden_degradation(photo, how),
                       entry.at("ssim")});
    }
  }
  return pairs;
}

}  // namespace ssim::verify
