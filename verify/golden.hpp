// SPDX-License-Identifier: MIT
// The pairs of images of which golden/skimage.json has the SSIM, and golden/pytorch_msssim.json SSIM and gradient.
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

/// One case of golden/make_pytorch_msssim.py: the images, and what the package gives in fp32 and in fp64.
struct PackageCase {
  std::string name;
  Problem problem;
  std::vector<float> x, y;
  double value_fp32, value_fp64;
  std::vector<double> gradient_fp32, gradient_fp64;
};

/// Element i of the noise that the script computes; see there.
inline std::vector<double> golden_noise(std::int64_t count, std::uint64_t seed) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t hashed =
        static_cast<std::uint32_t>((i + seed) * 2654435761u) * static_cast<std::uint32_t>(i + 97);
    values[i] = static_cast<double>(hashed >> 8) / (1 << 24);
  }
  return values;
}

/// The images of a case of this kind.
inline ImagePair golden_images(const Problem& problem, const std::string& kind) {
  ImagePair pair;
  if (kind.rfind("photo ", 0) == 0) {
    const std::size_t space = kind.find(' ', 6);
    const std::string name = kind.substr(6, space - 6), how = kind.substr(space + 1);
    for (const Photograph& photo : photographs()) {
      if (photo.name != name) continue;
      const std::vector<float> degraded = golden_degradation(photo, how);
      for (std::int64_t i = 0; i < problem.elements(); ++i) {
        const std::int64_t plane = i / problem.plane_size(), row = i % problem.plane_size() / problem.width;
        const std::int64_t from =
            (plane * photo.height + photo.height / 2 + row) * photo.width + photo.width / 2 + i % problem.width;
        pair.x.push_back(photo.rgb[static_cast<std::size_t>(from)]);
        pair.y.push_back(degraded[static_cast<std::size_t>(from)]);
      }
    }
    return pair;
  }
  const std::vector<double> a = golden_noise(problem.elements(), 1), b = golden_noise(problem.elements(), 1000003);
  for (std::size_t i = 0; i < a.size(); ++i) {
    pair.x.push_back(static_cast<float>(a[i]));
    pair.y.push_back(static_cast<float>(kind == "noise" ? b[i] : 0.75 * a[i] + 0.25 * b[i]));
  }
  return pair;
}

inline std::vector<PackageCase> package_cases() {
  std::ifstream file(std::string(SSIM_GOLDEN) + "/pytorch_msssim.json");
  if (!file) throw std::runtime_error("cannot read " SSIM_GOLDEN "/pytorch_msssim.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  if (golden.at("pytorch_msssim") != "1.0.0") throw std::runtime_error("golden values of another pytorch-msssim");
  std::vector<PackageCase> cases;
  for (const auto& stored : golden.at("cases")) {
    const auto shape = stored.at("shape").get<std::vector<std::int64_t>>();
    const Problem problem{shape.at(0), shape.at(1), shape.at(2), shape.at(3), Padding::valid};
    ImagePair pair = golden_images(problem, stored.at("kind"));
    for (const auto& [name, values] : {std::pair{"x_first_last", &pair.x}, {"y_first_last", &pair.y}}) {
      if (values->front() != stored.at(name).at(0).get<float>() ||
          values->back() != stored.at(name).at(1).get<float>()) {
        throw std::runtime_error(stored.at("kind").get<std::string>() + ": not the images of the stored values");
      }
    }
    cases.push_back({stored.at("kind").get<std::string>() + " " + stored.at("shape").dump(), problem, std::move(pair.x),
                     std::move(pair.y), stored.at("value_fp32"), stored.at("value_fp64"), stored.at("gradient_fp32"),
                     stored.at("gradient_fp64")});
  }
  return cases;
}

}  // namespace ssim::verify
