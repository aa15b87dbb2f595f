// SPDX-License-Identifier: MIT
// Reads the photographs and spoils them: blur, noise, coarse cosine blocks as of a strong JPEG, shift.
#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <stdexcept>

#include "inputs.hpp"
#include "parallel.hpp"

#ifndef SSIM_PHOTOS
#error "SSIM_PHOTOS must be the folder of the photographs"
#endif

namespace ssim::verify {
namespace {

Photograph read_ppm(const std::string& name) {
  const std::string path = std::string(SSIM_PHOTOS) + "/" + name + ".ppm";
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  std::int64_t width = 0, height = 0, most = 0;
  if (!(file >> magic >> width >> height >> most) || magic != "P6" || most != 255 || width < 1 || height < 1) {
    throw std::runtime_error(path + " is not a binary PPM of 8 bits (it must begin with P6 WIDTH HEIGHT 255)");
  }
  file.get();
  std::vector<unsigned char> bytes(static_cast<std::size_t>(3 * width * height));
  if (!file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
    throw std::runtime_error(path + " ends too early");
  }
  Photograph photo{name, height, width, std::vector<float>(bytes.size())};
  for (std::int64_t i = 0; i < width * height; ++i) {
    for (std::int64_t c = 0; c < 3; ++c) {
      photo.rgb[static_cast<std::size_t>(c * width * height + i)] =
          static_cast<float>(bytes[static_cast<std::size_t>(3 * i + c)]) / 255.0f;
    }
  }
  return photo;
}

// One plane, reading outside repeats the edge.
struct Plane {
  const float* in;
  float* out;
  std::int64_t height, width;
  float at(std::int64_t r, std::int64_t c) const {
    return in[std::clamp<std::int64_t>(r, 0, height - 1) * width + std::clamp<std::int64_t>(c, 0, width - 1)];
  }
  template <typename Pixel>
  void each(const Pixel& pixel) const {
    for (std::int64_t r = 0; r < height; ++r) {
      for (std::int64_t c = 0; c < width; ++c) out[r * width + c] = static_cast<float>(pixel(r, c));
    }
  }
};

void blur(const Plane& p) {  // binomial 5 x 5, sigma 1
  static constexpr double w[5] = {1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0};
  p.each([&](std::int64_t r, std::int64_t c) {
    double sum = 0;
    for (int i = 0; i < 5; ++i) {
      for (int j = 0; j < 5; ++j) sum += w[i] * w[j] * static_cast<double>(p.at(r + i - 2, c + j - 2));
    }
    return sum;
  });
}

// 8 x 8 cosine transform of each block, coefficients rounded to steps that grow with the frequency, and back.
void quantise(const Plane& p) {
  static const auto basis = [] {
    std::array<std::array<double, 8>, 8> b{};
    for (int k = 0; k < 8; ++k) {
      for (int i = 0; i < 8; ++i) b[k][i] = (k ? 0.5 : std::sqrt(0.125)) * std::cos((2 * i + 1) * k * M_PI / 16);
    }
    return b;
  }();
  for (std::int64_t r0 = 0; r0 < p.height; r0 += 8) {
    for (std::int64_t c0 = 0; c0 < p.width; c0 += 8) {
      double block[8][8], half[8][8];
      for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) block[i][j] = static_cast<double>(p.at(r0 + i, c0 + j));
      }
      const auto transform = [&](bool forward) {
        for (int i = 0; i < 8; ++i) {
          for (int k = 0; k < 8; ++k) {
            half[i][k] = 0;
            for (int j = 0; j < 8; ++j) half[i][k] += (forward ? basis[k][j] : basis[j][k]) * block[i][j];
          }
        }
        for (int k = 0; k < 8; ++k) {
          for (int l = 0; l < 8; ++l) {
            block[l][k] = 0;
            for (int i = 0; i < 8; ++i) block[l][k] += (forward ? basis[l][i] : basis[i][l]) * half[i][k];
          }
        }
      };
      transform(true);
      for (int k = 0; k < 8; ++k) {
        for (int l = 0; l < 8; ++l) {
          const double step = 0.04 * (1 + k + l);
          block[k][l] = std::round(block[k][l] / step) * step;
        }
      }
      transform(false);
      for (int i = 0; i < 8 && r0 + i < p.height; ++i) {
        for (int j = 0; j < 8 && c0 + j < p.width; ++j) {
          p.out[(r0 + i) * p.width + c0 + j] = static_cast<float>(std::clamp(block[i][j], 0.0, 1.0));
        }
      }
    }
  }
}

}  // namespace

const std::vector<Photograph>& photographs() {
  static const std::vector<Photograph> all = {read_ppm("astronaut"), read_ppm("chelsea"), read_ppm("coffee")};
  return all;
}

std::vector<float> degrade(const std::vector<float>& image, std::int64_t planes, std::int64_t height,
                           std::int64_t width, Degradation how, std::uint64_t seed) {
  std::vector<float> out(image.size());
  const double work = 50.0 * static_cast<double>(image.size());
  parallel_for(planes, useful_threads(work), [&](std::int64_t i, int) {
    const std::int64_t first = i * height * width;
    const Plane p{image.data() + first, out.data() + first, height, width};
    switch (how) {
      case Degradation::blur: blur(p); break;
      case Degradation::quantise: quantise(p); break;
      case Degradation::shift:  // down by one, right by a half
        p.each([&](std::int64_t r, std::int64_t c) { return 0.5f * (p.at(r - 1, c) + p.at(r - 1, c - 1)); });
        break;
      case Degradation::noise:  // uniform, standard deviation 0.05
        p.each([&](std::int64_t r, std::int64_t c) {
          const double u = uniform_at(seed + 4242, static_cast<std::uint64_t>(first + r * width + c));
          return std::clamp(static_cast<double>(p.at(r, c)) + (u - 0.5) * 0.1732, 0.0, 1.0);
        });
        break;
    }
  });
  return out;
}

}  // namespace ssim::verify
