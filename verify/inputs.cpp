// SPDX-License-Identifier: MIT
// The classes.
#include "inputs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "parallel.hpp"

namespace ssim::verify {
namespace {

// What a class's formula for one pixel is given.
struct At {
  std::uint64_t seed;
  const Problem& problem;
  std::int64_t plane, row, column, index;  // index: within the whole tensor

  double random(std::uint64_t stream, std::uint64_t i) const { return uniform_at(seed, stream, i); }
  double pixel_random(std::uint64_t stream) const { return random(stream, static_cast<std::uint64_t>(index)); }
  double plane_random(std::uint64_t stream) const { return random(stream + 1000, static_cast<std::uint64_t>(plane)); }
  /// Mean 0, variance 1, within +-3: the sum of four uniform numbers.
  double noise(std::uint64_t stream) const {
    double sum = 0;
    for (std::uint64_t i = 0; i < 4; ++i) sum += pixel_random(stream * 16 + 100000 + i);
    return (sum - 2) * std::sqrt(3.0);
  }
};

struct Two {
  double x, y;
};

// Three waves of 25 to 90 pixels, values 0.15 to 0.85.
double smooth(const At& at, std::uint64_t stream = 0) {
  double sum = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::uint64_t s = 10 * stream + 3 * i;
    const double length = 25 + 65 * at.plane_random(s), angle = 6.2831853 * at.plane_random(s + 1);
    const double phase = 6.2831853 * at.plane_random(s + 2);
    const double along =
        std::cos(angle) * static_cast<double>(at.row) + std::sin(angle) * static_cast<double>(at.column);
    sum += std::sin(6.2831853 * along / length + phase);
  }
  return 0.5 + 0.35 * sum / 3;
}

// Smooth, plus waves of 4 to 12 pixels. Where the waves cancel each other there are flat spots.
double waves(const At& at) {
  double sum = 0;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const std::uint64_t s = 500 + 3 * i;
    const double length = 4 + 8 * at.plane_random(s), angle = 6.2831853 * at.plane_random(s + 1);
    const double along =
        std::cos(angle) * static_cast<double>(at.row) + std::sin(angle) * static_cast<double>(at.column);
    sum += std::sin(6.2831853 * along / length + 6.2831853 * at.plane_random(s + 2));
  }
  return smooth(at) * 0.6 + 0.2 + 0.1 * sum;
}

// The same with grain of 0.1: no window is flat.
double textured(const At& at) { return waves(at) + 0.1 * at.noise(7); }

Two near(const At& at, double distance) {
  const double x = smooth(at);
  return {x, x + distance * at.noise(8)};
}

// Rectangles of 5 to 25 pixels with levels 0, 0.2 ... 1; y is x one pixel to the right and dimmer by a twentieth.
double steps(const At& at, std::int64_t column) {
  const std::int64_t h = 5 + static_cast<std::int64_t>(20 * at.plane_random(900));
  const std::int64_t w = 5 + static_cast<std::int64_t>(20 * at.plane_random(901));
  const auto cell = static_cast<std::uint64_t>((at.row / h) * 65537 + std::max<std::int64_t>(column, 0) / w);
  return std::floor(at.random(902 + static_cast<std::uint64_t>(at.plane), cell) * 6) / 5;
}

// A place at the border or at a seam of tiles. The planes of a batch take them one after the other, from one on that
// seed and shape choose, so that enough planes have them all.
struct Place {
  std::int64_t row, column;
};
Place border_place(const At& at, bool seams) {
  struct Spots {
    std::array<std::int64_t, 32> at;
    std::uint64_t count;
  };
  const auto spots = [&](std::int64_t size) {
    Spots all = {{0, size - 1, size / 2, 5, size - 6, 1, size - 2, 4, size - 5}, seams ? 3u : 9u};
    if (seams) {
      for (const std::int64_t seam : {8, 16, 32, 64, 112, 128, 240, 256, 480, 512, 1024, 2048}) {
        if (seam >= size) break;
        all.at[all.count++] = seam - 1;
        all.at[all.count++] = seam;
      }
    }
    return all;
  };
  const std::int64_t h = at.problem.height, w = at.problem.width;
  const Spots rows = spots(h), columns = spots(w);
  const std::uint64_t first = mix(at.seed ^ mix(static_cast<std::uint64_t>(h * 65537 + w)));
  const std::uint64_t k = first % (rows.count * columns.count) + static_cast<std::uint64_t>(at.plane);
  return {std::clamp<std::int64_t>(rows.at[k % rows.count], 0, h - 1),
          std::clamp<std::int64_t>(columns.at[k / rows.count % columns.count], 0, w - 1)};
}

// Runs of 1 to 24 pixels, each zeros, ones, noise, alternation, a ramp, or a tiny value (after checkasm's inputs).
double pattern(const At& at, std::uint64_t stream) {
  const std::int64_t slot = at.index / 24;
  const auto cut = static_cast<std::int64_t>(at.random(stream, static_cast<std::uint64_t>(slot)) * 24);
  const auto run = static_cast<std::uint64_t>(2 * slot + (at.index % 24 >= cut ? 1 : 0));
  switch (static_cast<int>(at.random(stream + 1, run) * 6)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return at.pixel_random(stream + 2);
    case 3: return static_cast<double>(at.index % 2);
    case 4: return static_cast<double>(at.index % 24) / 24;
    default: return 1e-4 * at.pixel_random(stream + 3);
  }
}

std::int64_t mirror(std::int64_t i, std::int64_t size) {
  const std::int64_t period = 2 * size;
  i %= period;
  return i < size ? i : period - 1 - i;
}

struct Definition {
  InputClass about;
  std::function<Two(const At&)> pixel;  // empty for photographs
};

const std::vector<Definition>& definitions() {
  static const std::vector<Definition> all = {
      {{"uniform", "independent noise in [0, 1)"},
       [](const At& at) {
         return Two{at.pixel_random(kUniformX), at.pixel_random(kUniformY)};
       }},
      {{"checkerboard", "0 and 1 in fields of one pixel against fields of two"},
       [](const At& at) {
         return Two{static_cast<double>((at.row + at.column) % 2),
                    static_cast<double>((at.row / 2 + at.column / 2) % 2)};
       }},
      {{"textured", "waves and grain of 0.1, noise of 0.05 between the images"},
       [](const At& at) {
         const double x = textured(at);
         return Two{x, x + 0.05 * at.noise(8)};
       }},
      {{"dark", "noise in [0, 1e-4)"},
       [](const At& at) {
         return Two{1e-4 * at.pixel_random(1), 1e-4 * at.pixel_random(2)};
       }},
      {{"hdr", "noise in [0, 20)"},
       [](const At& at) {
         return Two{20 * at.pixel_random(1), 20 * at.pixel_random(2)};
       }},
      {{"pattern", "runs of zeros, ones, noise, alternation, ramps"},
       [](const At& at) {
         return Two{pattern(at, 20), pattern(at, 30)};
       }},
      {{"anticorrelated", "y = 1 - x"},
       [](const At& at) {
         const double x = at.pixel_random(1);
         return Two{x, 1 - x};
       }},
      {{"impulse", "one bright pixel at the border, in y a step away"},
       [](const At& at) {
         const Place place = border_place(at, false);
         const std::int64_t next = place.column + 1 < at.problem.width ? place.column + 1 : place.column - 1;
         return Two{at.row == place.row && at.column == place.column ? 1.0 : 0.0,
                    at.row == place.row && at.column == next ? 0.5 : 0.0};
       }},
      {{"smooth", "long waves, and another long wave between the images"},
       [](const At& at) {
         const double x = smooth(at);
         return Two{x, x + 0.2 * (smooth(at, 5) - 0.5)};
       }},
      {{"waves", "waves of 4 to 12 pixels that cancel in spots, noise of 0.05 between the images"},
       [](const At& at) {
         const double x = waves(at);
         return Two{x, x + 0.05 * at.noise(8)};
       }},
      {{"near_1e-2", "smooth, noise of 1e-2 between the images"}, [](const At& at) { return near(at, 1e-2); }},
      {{"near_3e-3", "smooth, noise of 3e-3 between the images"}, [](const At& at) { return near(at, 3e-3); }},
      {{"near_5e-4", "smooth, noise of 5e-4 between the images"}, [](const At& at) { return near(at, 5e-4); }},
      {{"local", "textured, the images differ in one pixel at a border or seam"},
       [](const At& at) {
         const Place place = border_place(at, true);
         const double x = textured(at);
         return Two{x, at.row == place.row && at.column == place.column ? 1 - x : x};
       }},
      {{"identical", "y = x, textured"},
       [](const At& at) {
         const double x = textured(at);
         return Two{x, x};
       }},
      {{"constant_0", "both 0"},
       [](const At&) {
         return Two{0, 0};
       }},
      {{"constant_1", "both 1"},
       [](const At&) {
         return Two{1, 1};
       }},
      {{"flat", "0.9 with independent noise of 1e-3 in each"},
       [](const At& at) {
         return Two{0.9 + 1e-3 * at.noise(8), 0.9 + 1e-3 * at.noise(9)};
       }},
      {{"edges", "steps between flat rectangles, y a pixel off and dimmer"},
       [](const At& at) {
         return Two{steps(at, at.column), 0.95 * steps(at, at.column - 1)};
       }},
      {{"constant_unequal", "0.9 against 0.8"},
       [](const At&) {
         return Two{0.9, 0.8};
       }},
      {{"constant_levels",
        "0.25 against 0.9 in the first plane by every other seed, else random levels, at least a tenth apart"},
       [](const At& at) {
         if (at.plane == 0 && at.seed % 2 == 0) return Two{0.25, 0.9};  // about the worst of tensor cores
         const double x = at.plane_random(910), y = x + 0.1 + 0.8 * at.plane_random(911);
         return Two{x, y - std::floor(y)};
       }},
      {{"photo_blur", "photographs, y blurred"}, {}},
      {{"photo_noise", "photographs, y with noise"}, {}},
      {{"photo_quantise", "photographs, y with coarse 8x8 cosine blocks"}, {}},
      {{"photo_shift", "photographs, y half a pixel and a pixel away"}, {}},
  };
  return all;
}

ImagePair photo_pair(const Problem& problem, const std::string& name, std::uint64_t seed) {
  const std::string how = name.substr(6);
  const Degradation degradation = how == "blur"       ? Degradation::blur
                                  : how == "noise"    ? Degradation::noise
                                  : how == "quantise" ? Degradation::quantise
                                                      : Degradation::shift;
  const std::vector<Photograph>& photos = photographs();
  const std::int64_t h = problem.height, w = problem.width;
  ImagePair out;
  out.x.resize(static_cast<std::size_t>(problem.elements()));
  parallel_for(problem.planes(), useful_threads(4.0 * static_cast<double>(problem.elements())),
               [&](std::int64_t p, int) {
                 const Photograph& photo =
                     photos[static_cast<std::size_t>((p / problem.channels + static_cast<std::int64_t>(seed % 3)) % 3)];
                 const float* from = photo.rgb.data() + p % problem.channels % 3 * photo.height * photo.width;
                 for (std::int64_t r = 0; r < h; ++r) {
                   for (std::int64_t c = 0; c < w; ++c) {
                     out.x[static_cast<std::size_t>((p * h + r) * w + c)] =
                         from[mirror(r, photo.height) * photo.width + mirror(c, photo.width)];
                   }
                 }
               });
  out.y = degrade(out.x, problem.planes(), h, w, degradation, seed);
  return out;
}

}  // namespace

const std::vector<InputClass>& input_classes() {
  static const std::vector<InputClass> names = [] {
    std::vector<InputClass> list;
    for (const Definition& d : definitions()) list.push_back(d.about);
    return list;
  }();
  return names;
}

bool is_input_class(const std::string& name) {
  return std::any_of(input_classes().begin(), input_classes().end(),
                     [&](const InputClass& c) { return name == c.name; });
}

ImagePair make_images(const Problem& problem, const std::string& input_class, std::uint64_t seed) {
  const auto found = std::find_if(definitions().begin(), definitions().end(),
                                  [&](const Definition& d) { return input_class == d.about.name; });
  if (found == definitions().end()) {
    std::string names;
    for (const InputClass& c : input_classes()) names.append(names.empty() ? "" : ", ").append(c.name);
    throw std::invalid_argument("input class \"" + input_class + "\" is not one of " + names);
  }
  if (!found->pixel) return photo_pair(problem, input_class, seed);
  ImagePair out;
  out.x.resize(static_cast<std::size_t>(problem.elements()));
  out.y.resize(out.x.size());
  const std::int64_t rows = problem.planes() * problem.height;
  parallel_for(rows, useful_threads(60.0 * static_cast<double>(problem.elements())), [&](std::int64_t line, int) {
    for (std::int64_t c = 0; c < problem.width; ++c) {
      const std::int64_t i = line * problem.width + c;
      const Two two = found->pixel(At{seed, problem, line / problem.height, line % problem.height, c, i});
      out.x[static_cast<std::size_t>(i)] = static_cast<float>(two.x);
      out.y[static_cast<std::size_t>(i)] = static_cast<float>(two.y);
    }
  });
  return out;
}

}  // namespace ssim::verify
