// SPDX-License-Identifier: MIT
// Plane by plane: fp64 copies of the images and their products with a border of zeros, 121 taps for every position and
// statistic, then 121 taps for every pixel and field of the gradient. Blocks of columns stay in registers while the
// window slides; that is all the speed there is.
#include "oracle.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "parallel.hpp"

namespace ssim::verify {
namespace {

constexpr int kReach = 5, kSize = 2 * kReach + 1;
constexpr int kBlock = 32;  // columns that are computed together

struct Window {
  double w[kSize][kSize];
};

Window make_window() {
  Window window{};
  double sum = 0;
  for (int r = 0; r < kSize; ++r) {
    for (int c = 0; c < kSize; ++c) {
      const double distance2 = (r - kReach) * (r - kReach) + (c - kReach) * (c - kReach);
      window.w[r][c] = std::exp(-distance2 / (2 * 1.5 * 1.5));
      sum += window.w[r][c];
    }
  }
  for (auto& row : window.w) {
    for (double& w : row) w /= sum;
  }
  return window;
}

const Window& window() {
  static const Window w = make_window();
  return w;
}

// A plane of doubles with kReach zeros above, below and to the left, and zeros to the right up to a whole block.
class Padded {
 public:
  Padded(std::int64_t height, std::int64_t width)
      : stride_((width + kBlock - 1) / kBlock * kBlock + 2 * kReach),
        data_(static_cast<std::size_t>((height + 2 * kReach) * stride_), 0.0) {}
  double* row(std::int64_t r) { return data_.data() + (r + kReach) * stride_ + kReach; }
  // First value under the window of position (r, 0).
  const double* under(std::int64_t r) const { return data_.data() + r * stride_; }
  std::int64_t stride() const { return stride_; }

 private:
  std::int64_t stride_;
  std::vector<double> data_;
};

#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SSIM_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define SSIM_CLONES
#endif

// out[i] = sum over the window of w * in, for kBlock neighbouring positions.
SSIM_CLONES void weigh(const double* in, std::int64_t stride, const double* w, double* out) {
  double sum[kBlock] = {};
  for (int r = 0; r < kSize; ++r) {
    for (int c = 0; c < kSize; ++c) {
      const double* from = in + r * stride + c;
      const double weight = w[r * kSize + c];
      for (int i = 0; i < kBlock; ++i) sum[i] += weight * from[i];
    }
  }
  std::memcpy(out, sum, sizeof sum);
}

// Scratch of one thread (or of all of them, where they share a plane).
struct Scratch {
  Padded x, y, xx, yy, xy;
  Padded px, py, q, r;  // fields of the gradients: constant for x, constant for y, factor of own, factor of other
  Scratch(std::int64_t h, std::int64_t w)
      : x(h, w), y(h, w), xx(h, w), yy(h, w), xy(h, w), px(h, w), py(h, w), q(h, w), r(h, w) {}
};

struct Sums {
  double value = 0, loss = 0;
};

template <typename Pixel>
struct Plane {
  const Problem& problem;
  const Pixel *x, *y;
  double *grad_x, *grad_y, *map;  // nullptr where not wanted

  void load(Scratch& s, std::int64_t r) const {
    double *x_row = s.x.row(r), *y_row = s.y.row(r), *xx = s.xx.row(r), *yy = s.yy.row(r), *xy = s.xy.row(r);
    for (std::int64_t c = 0; c < problem.width; ++c) {
      const double a = static_cast<double>(x[r * problem.width + c]), b = static_cast<double>(y[r * problem.width + c]);
      x_row[c] = a;
      y_row[c] = b;
      xx[c] = a * a;
      yy[c] = b * b;
      xy[c] = a * b;
    }
  }

  Sums values(Scratch& s, std::int64_t r) const {
    const std::int64_t margin = problem.padding == Padding::valid ? kReach : 0;
    double *px = s.px.row(r), *py = s.py.row(r), *q = s.q.row(r), *rr = s.r.row(r);
    const bool row_counts = r >= margin && r < problem.height - margin;
    Sums sums;
    for (std::int64_t first = 0; first < problem.width; first += kBlock) {
      double mx[kBlock], my[kBlock], exx[kBlock], eyy[kBlock], exy[kBlock];
      if (row_counts) {
        const double* w = &window().w[0][0];
        weigh(s.x.under(r) + first, s.x.stride(), w, mx);
        weigh(s.y.under(r) + first, s.y.stride(), w, my);
        weigh(s.xx.under(r) + first, s.xx.stride(), w, exx);
        weigh(s.yy.under(r) + first, s.yy.stride(), w, eyy);
        weigh(s.xy.under(r) + first, s.xy.stride(), w, exy);
      }
      const std::int64_t end = std::min(first + kBlock, problem.width);
      for (std::int64_t c = first; c < end; ++c) {
        px[c] = py[c] = q[c] = rr[c] = 0;
        if (!row_counts || c < margin || c >= problem.width - margin) continue;
        const std::int64_t i = c - first;
        const double c1 = static_cast<double>(problem.c1), c2 = static_cast<double>(problem.c2);
        const double a1 = 2 * mx[i] * my[i] + c1, a2 = 2 * (exy[i] - mx[i] * my[i]) + c2;
        const double b1 = mx[i] * mx[i] + my[i] * my[i] + c1;
        const double b2 = (exx[i] - mx[i] * mx[i]) + (eyy[i] - my[i] * my[i]) + c2;
        const double value = a1 * a2 / (b1 * b2);
        const double scale = 2 / (b1 * b1 * b2 * b2);
        sums.value += value;
        // 1 - S from b1 - a1 = (mx - my)^2 and b2 - a2 = the variance of x - y, which stay exact as x -> y.
        const double luminance = (mx[i] - my[i]) * (mx[i] - my[i]);
        const double structure = exx[i] + eyy[i] - 2 * exy[i] - luminance;
        sums.loss += (luminance * b2 + a1 * structure) / (b1 * b2);
        if (map) map[r * problem.width + c] = value;
        px[c] = scale * (b1 * b2 * (a2 - a1) * my[i] + a1 * a2 * (b1 - b2) * mx[i]);
        py[c] = scale * (b1 * b2 * (a2 - a1) * mx[i] + a1 * a2 * (b1 - b2) * my[i]);
        q[c] = -scale * a1 * b1 * a2;
        rr[c] = scale * a1 * b1 * b2;
      }
    }
    return sums;
  }

  void gradients(Scratch& s, std::int64_t r) const {
    if (!grad_x && !grad_y) return;
    const double* w = &window().w[0][0];
    const double inverse = 1 / static_cast<double>(problem.counted());
    for (std::int64_t first = 0; first < problem.width; first += kBlock) {
      double own[kBlock], other[kBlock], constant[kBlock];
      weigh(s.q.under(r) + first, s.q.stride(), w, own);
      weigh(s.r.under(r) + first, s.r.stride(), w, other);
      const std::int64_t end = std::min(first + kBlock, problem.width);
      const auto write = [&](const Padded& fields, double* grad, const double* self, const double* partner) {
        if (!grad) return;
        weigh(fields.under(r) + first, fields.stride(), w, constant);
        for (std::int64_t c = first; c < end; ++c) {
          const std::int64_t i = c - first;
          grad[r * problem.width + c] = inverse * (constant[i] + own[i] * self[c] + other[i] * partner[c]);
        }
      };
      write(s.px, grad_x, s.x.row(r), s.y.row(r));
      write(s.py, grad_y, s.y.row(r), s.x.row(r));
    }
  }
};

template <typename Pixel>
OracleAnswer answer(const Problem& problem, const Pixel* x, const Pixel* y, const OracleWants& wants) {
  const std::int64_t size = problem.plane_size(), planes = problem.planes();
  const std::size_t elements = static_cast<std::size_t>(problem.elements());
  OracleAnswer out;
  if (wants.grad_x) out.grad_x.resize(elements);
  if (wants.grad_y) out.grad_y.resize(elements);
  if (wants.map) out.map.resize(elements, 0.0);
  const auto plane = [&](std::int64_t i) {
    const auto at = [&](std::vector<double>& v) { return v.empty() ? nullptr : v.data() + i * size; };
    return Plane<Pixel>{problem, x + i * size, y + i * size, at(out.grad_x), at(out.grad_y), at(out.map)};
  };
  const int threads = useful_threads(1000.0 * static_cast<double>(elements));
  std::vector<Sums> of_plane(static_cast<std::size_t>(planes));
  if (planes >= 2 * threads && size < 1 << 18) {  // a plane a thread
    std::vector<std::unique_ptr<Scratch>> scratch(static_cast<std::size_t>(threads));
    parallel_for(planes, threads, [&](std::int64_t i, int thread) {
      auto& own = scratch[static_cast<std::size_t>(thread)];
      if (!own) own = std::make_unique<Scratch>(problem.height, problem.width);
      const Plane<Pixel> p = plane(i);
      Sums& sums = of_plane[static_cast<std::size_t>(i)];
      for (std::int64_t r = 0; r < problem.height; ++r) p.load(*own, r);
      for (std::int64_t r = 0; r < problem.height; ++r) {
        const Sums row = p.values(*own, r);
        sums.value += row.value;
        sums.loss += row.loss;
      }
      for (std::int64_t r = 0; r < problem.height; ++r) p.gradients(*own, r);
    });
  } else {  // all threads on one plane, a row each
    Scratch scratch(problem.height, problem.width);
    std::vector<Sums> of_row(static_cast<std::size_t>(problem.height));
    for (std::int64_t i = 0; i < planes; ++i) {
      const Plane<Pixel> p = plane(i);
      parallel_for(problem.height, threads, [&](std::int64_t r, int) { p.load(scratch, r); });
      parallel_for(problem.height, threads,
                   [&](std::int64_t r, int) { of_row[static_cast<std::size_t>(r)] = p.values(scratch, r); });
      parallel_for(problem.height, threads, [&](std::int64_t r, int) { p.gradients(scratch, r); });
      for (const Sums& row : of_row) {
        of_plane[static_cast<std::size_t>(i)].value += row.value;
        of_plane[static_cast<std::size_t>(i)].loss += row.loss;
      }
    }
  }
  for (const Sums& sums : of_plane) {
    out.mean += sums.value;
    out.loss += sums.loss;
  }
  out.mean /= static_cast<double>(problem.counted());
  out.loss /= static_cast<double>(problem.counted());
  return out;
}

}  // namespace

OracleAnswer oracle(const Problem& problem, const float* x, const float* y, const OracleWants& wants) {
  return answer(problem, x, y, wants);
}

OracleAnswer oracle(const Problem& problem, const double* x, const double* y, const OracleWants& wants) {
  return answer(problem, x, y, wants);
}

double oracle_weight(int row, int column) { return window().w[row][column]; }

}  // namespace ssim::verify
