// SPDX-License-Identifier: MIT
// One row on one problem: everything that can be wrong with a single call, in the order in which it would mislead.
#include "check.hpp"

#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "compare.hpp"
#include "inputs.hpp"
#include "kernels/registry.hpp"
#include "memory.hpp"
#include "oracle.hpp"
#include "tolerance.hpp"

#if SSIM_WITH_CUDA
#include "oracle_cuda.hpp"
#endif

namespace ssim::verify {

// The images on the device, and the oracle's answer where the comparison takes place: on the host for rows of the
// host (emulated ones too), on the card for rows of the card.
struct Case::State {
  Device device;
  Problem problem;
  std::string input_class;
  std::string test;
  double range = 1;
  std::uint64_t seed = 1;
  std::int64_t offset = 0;
  Memory x, y;
  std::uint64_t x_fingerprint = 0, y_fingerprint = 0;

  std::once_flag once;
  double mean = 0, loss = 0, rms = 0, peak = 0;
  std::vector<double> gradient;  // host
  Memory device_gradient;        // card

  std::int64_t elements() const { return problem.elements(); }

  std::uint64_t fingerprint_of(const Memory& memory) const {
    const std::int64_t count = memory.bytes() / static_cast<std::int64_t>(sizeof(float));
#if SSIM_WITH_CUDA
    if (device == Device::cuda) return cuda::fingerprint(memory.as<const float>(), count);
#endif
    return fingerprint(memory.as<const float>(), count);
  }

  void ask_oracle() {
    std::call_once(once, [this] {
      Size size;
#if SSIM_WITH_CUDA
      if (device == Device::cuda) {
        device_gradient = Memory(device, elements() * static_cast<std::int64_t>(sizeof(double)));
        const Memory scratch(device, cuda::oracle_scratch_bytes(problem));
        const cuda::Answer answer = cuda::oracle(problem, x.as<const float>(), y.as<const float>(),
                                                 device_gradient.as<double>(), scratch.data());
        mean = answer.mean;
        loss = answer.loss;
        size = cuda::size_of(device_gradient.as<const double>(), elements());
      } else
#endif
      {
        OracleAnswer answer = oracle(problem, x.as<const float>(), y.as<const float>());
        mean = answer.mean;
        loss = answer.loss;
        gradient = std::move(answer.grad_x);
        size = size_of(gradient.data(), elements());
      }
      // A window's share of the sum of squares: with `valid` the border, which few windows reach, lowers it no more.
      rms = std::sqrt(size.squares / static_cast<double>(problem.counted()));
      peak = size.peak;
    });
  }

  Comparison compare_gradient(const Memory& got, double scale, double limit) const {
#if SSIM_WITH_CUDA
    if (device == Device::cuda) {
      return cuda::compare(problem, got.as<const float>(), device_gradient.as<const double>(), scale, limit);
    }
#endif
    return compare(problem, got.as<const float>(), gradient.data(), scale, limit);
  }
};

Case::Case(Device device, const Problem& problem, const std::string& input_class, std::uint64_t seed,
           std::int64_t offset)
    : state_(std::make_unique<State>()) {
  if (const Status status = check(problem); !status) throw std::invalid_argument(status.message);
  state_->input_class = input_class;
  state_->seed = seed;
#if SSIM_WITH_CUDA
  if (device == Device::cuda && input_class == "uniform") {
    // What the benchmark times, up to a thousand million pixels.
    allocate(device, problem, offset);
    cuda::uniform_images(seed, problem.elements(), state_->x.as<float>(), state_->y.as<float>());
    note_fingerprints();
    return;
  }
#endif
  fill(device, problem, make_images(problem, input_class, seed), offset);
}

Case::Case(Device device, const Problem& problem, const ImagePair& images, const std::string& input_class,
           const std::string& test, double range)
    : state_(std::make_unique<State>()) {
  if (const Status status = check(problem); !status) throw std::invalid_argument(status.message);
  state_->input_class = input_class;
  state_->test = test;
  state_->range = range;
  fill(device, problem, images, 0);
}

void Case::allocate(Device device, const Problem& problem, std::int64_t offset) {
  std::string reason;
  if (!device_available(device, &reason)) {
    throw std::runtime_error(std::string("device ") + to_string(device) + " is not available: " + reason);
  }
  const std::int64_t bytes = problem.elements() * static_cast<std::int64_t>(sizeof(float));
  state_->device = device;
  state_->problem = problem;
  state_->offset = offset;
  state_->x = Memory(device, bytes, offset_of(offset, Base::x));
  state_->y = Memory(device, bytes, offset_of(offset, Base::y));
}

void Case::fill(Device device, const Problem& problem, const ImagePair& images, std::int64_t offset) {
  allocate(device, problem, offset);
  state_->x.upload(images.x.data());
  state_->y.upload(images.y.data());
  note_fingerprints();
}

void Case::note_fingerprints() {
  state_->x_fingerprint = state_->fingerprint_of(state_->x);
  state_->y_fingerprint = state_->fingerprint_of(state_->y);
}

Case::~Case() = default;
Case::Case(Case&&) noexcept = default;

const Problem& Case::problem() const { return state_->problem; }
Device Case::device() const { return state_->device; }
const std::string& Case::input_class() const { return state_->input_class; }
std::uint64_t Case::seed() const { return state_->seed; }
std::int64_t Case::offset() const { return state_->offset; }
const std::string& Case::test() const { return state_->test; }
void Case::set_test(const std::string& test) { state_->test = test; }
const float* Case::x() const { return state_->x.as<const float>(); }
const float* Case::y() const { return state_->y.as<const float>(); }

std::string case_name(const Implementation& row, const Case& c, Mode mode) {
  std::string name = key(row, c.problem(), mode) + "/" + c.input_class() + "/" + std::to_string(c.seed());
  if (c.offset()) name += "/" + std::to_string(c.offset());
  return name;
}

namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[512];
  va_list list;
  va_start(list, pattern);
  std::vsnprintf(text, sizeof text, pattern, list);
  va_end(list);
  return text;
}

// 0.25 to 4 with either sign: a row that ignores it, or squares it, is off everywhere.
/// From 1/4 to 4, or one time in four as far from 1 as loss scales go.
float random_weight(std::uint64_t seed) {
  const double far = uniform_at(seed ^ 0xABCD, 3);
  const double size = std::exp2(4 * uniform_at(seed ^ 0xABCD, 1) - 2 + (far < 0.125 ? -14 : far < 0.25 ? 16 : 0));
  return static_cast<float>(uniform_at(seed ^ 0xABCD, 2) < 0.5 ? -size : size);
}

// The buffers of a call, poisoned again before each.
class Buffers {
 public:
  Buffers(const Implementation& row, const Case& c, Mode mode)
      : case_(c),
        train_(mode == Mode::train),
        mean_(c.device(), sizeof(double)),
        mean_fp32_(c.device(), sizeof(float)),
        workspace_(c.device(), row.workspace_bytes(c.problem(), mode)) {
    if (train_) {
      gradient_ = Memory(c.device(), c.problem().elements() * static_cast<std::int64_t>(sizeof(float)),
                         offset_of(c.offset(), Base::gradient));
      weight_ = Memory(c.device(), sizeof(float));
      const float weight = random_weight(c.seed());
      weight_.upload(&weight);
    }
    if (workspace_.bytes() == 0) return;
    const Status status = init_workspace(c.device(), workspace_.data(), workspace_.bytes());
    if (!status) throw std::runtime_error(std::string("init_workspace: ") + status.message);
  }

  Arguments arguments(bool rounded) const {
    return {.x = case_.x(),
            .y = case_.y(),
            .weight = train_ ? weight_.as<const float>() : nullptr,
            .mean = mean_.as<double>(),
            .mean_fp32 = rounded ? mean_fp32_.as<float>() : nullptr,
            .grad_x = train_ ? gradient_.as<float>() : nullptr,
            .workspace = workspace_.bytes() ? workspace_.data() : nullptr,
            .workspace_bytes = workspace_.bytes()};
  }

  void poison(unsigned char workspace_byte) {
    mean_.fill(0xFF);
    mean_fp32_.fill(0xFF);
    if (train_) gradient_.fill(0xFF);
    if (workspace_.bytes() > kControlBytes) {
      workspace_.fill(workspace_byte, kControlBytes, workspace_.bytes() - kControlBytes);
    }
  }

  // "" or what the call has done to memory that is not its own.
  std::string damage() const {
    const Case::State& state = case_.state();
    const struct {
      const char* name;
      const Memory& memory;
    } all[] = {{"mean", mean_},       {"mean_fp32", mean_fp32_},
               {"grad_x", gradient_}, {"workspace", workspace_},
               {"weight", weight_},   {"x", state.x},
               {"y", state.y}};
    for (const auto& [name, memory] : all) {
      if (const std::string damage = memory.damage(); !damage.empty()) return std::string(name) + " was " + damage;
    }
    if (state.fingerprint_of(state.x) != state.x_fingerprint) return "x was modified";
    if (state.fingerprint_of(state.y) != state.y_fingerprint) return "y was modified";
    if (train_) {
      float now = 0;
      weight_.download(&now);
      if (std::bit_cast<std::uint32_t>(now) != std::bit_cast<std::uint32_t>(random_weight(case_.seed()))) {
        return "weight was modified";
      }
    }
    return control_block();
  }

  double mean() const {
    double value = 0;
    mean_.download(&value);
    return value;
  }
  float rounded_mean() const {
    float value = 0;
    mean_fp32_.download(&value);
    return value;
  }
  const Memory& gradient() const { return gradient_; }

 private:
  std::string control_block() const {
    if (workspace_.bytes() == 0) return "";
    const std::vector<unsigned char> all = head();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i])
        return format("control block of the workspace is not zero after the call (byte %zu is %d)", i, all[i]);
    }
    return "";
  }
  std::vector<unsigned char> head() const;

  const Case& case_;
  bool train_;
  Memory mean_, mean_fp32_, workspace_, gradient_, weight_;
};

std::vector<unsigned char> Buffers::head() const {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(kControlBytes));
  workspace_.download(bytes.data(), 0, kControlBytes);
  return bytes;
}

std::string verify_into(Verdict& verdict, const Implementation& row, const Case& c, Mode mode) {
  const Problem& problem = c.problem();
  const bool train = mode == Mode::train;
  verdict.failed = "call";
  if (row.device != c.device()) return format("case is on device %s", to_string(c.device()));
  if (const std::string reason = row.supports(problem, mode); !reason.empty()) return "not supported: " + reason;
  const std::int64_t asked = row.workspace_bytes(problem, mode);
  if (asked != 0 && asked < kControlBytes)
    return format("workspace_bytes = %" PRId64 " is neither 0 nor >= 256", asked);

  Buffers buffers(row, c, mode);
  double mean[2] = {};
  std::uint64_t gradient_bits[2] = {};
  // Poison of two kinds: NaN, which a maximum would swallow, and then a large finite number, which it would not.
  constexpr unsigned char kPoison[2] = {0xFF, 0x7E};
  Case::State& state = c.state();
  for (int run = 0; run < 2; ++run) {
    buffers.poison(kPoison[run]);
    const bool rounded = run == 1 && row.rounds_mean;  // in one of the two: it changes nothing else
    if (const Status status = call(row, problem, mode, buffers.arguments(rounded)); !status) {
      return format("call failed: %s", status.message);
    }
    synchronize(c.device());
    verdict.failed = "memory";
    if (const std::string damage = buffers.damage(); !damage.empty()) return damage;
    mean[run] = buffers.mean();
    if (const float got = buffers.rounded_mean(), want = static_cast<float>(mean[run]);
        rounded && got != want && !(std::isnan(got) && std::isnan(want))) {
      verdict.failed = "mean";
      return format("mean_fp32 is %.9g, the mean %.17g", static_cast<double>(got), mean[run]);
    }
    verdict.failed = "call";
    if (train) gradient_bits[run] = state.fingerprint_of(buffers.gradient());
  }

  state.ask_oracle();
  const Tolerance allowed = tolerance(row, c.input_class());
  const double infinity = std::numeric_limits<double>::infinity();
  verdict.mean_error = std::abs(mean[1] - state.mean);
  if (!(verdict.mean_error <= infinity)) verdict.mean_error = infinity;
  verdict.loss_error = state.loss > 0 ? std::abs((1 - mean[1]) - state.loss) / state.loss : verdict.mean_error;
  if (!(verdict.loss_error <= infinity)) verdict.loss_error = infinity;
  const double positions = static_cast<double>(problem.counted());
  const double mean_limit = allowed.mean + allowed.position / std::sqrt(positions);
  const auto share = [](double error, double of) { return error == 0 ? 0 : error / of; };
  verdict.mean_share = share(verdict.mean_error, mean_limit);
  Comparison worst;
  double limit = 0, scale = 1;
  if (train) {
    scale = static_cast<double>(random_weight(c.seed()));
    const double size = allowed.peak ? state.peak : state.rms;
    limit = std::abs(scale) * (allowed.gradient * size + allowed.gradient_unit / state.range / positions);
    worst = state.compare_gradient(buffers.gradient(), scale, limit);
    // Where the oracle's gradient is zero its RMS is no unit; 1 / N is one then.
    const double unit = std::abs(scale) * (size > 1e-9 / positions ? size : 1 / positions);
    verdict.gradient_unit_error = worst.worst / std::abs(scale) * positions;
    verdict.gradient_error = worst.worst / unit;
    verdict.gradient_corner = worst.corner / unit;
    verdict.gradient_edge = worst.edge / unit;
    verdict.gradient_interior = worst.interior / unit;
    verdict.worst = worst.index;
    verdict.gradient_share = share(worst.worst, limit);
  }
  verdict.failed = "mean";
  if (!(verdict.mean_error <= mean_limit)) {
    return format("mean %.12g, oracle %.12g: off by %.3g, allowed %.3g", mean[1], state.mean, verdict.mean_error,
                  mean_limit);
  }
  const double loss_limit = allowed.loss + allowed.loss_position / std::sqrt(positions);
  if (allowed.loss > 0 && !(verdict.loss_error <= loss_limit)) {
    return format("1 - SSIM %.9g, oracle %.9g: off by %.3g of it, allowed %.3g", 1 - mean[1], state.loss,
                  verdict.loss_error, loss_limit);
  }
  verdict.failed = "gradient";
  if (train && worst.exceeding > 0) {
    return format("gradient of %s is %.9g, oracle %.9g: off by %.3g, allowed %.3g; %.3g of its RMS; %" PRId64
                  " elements are off; worst at corners %.3g, edges %.3g, inside %.3g of the RMS",
                  place(problem, worst.index).c_str(), worst.got, worst.want, worst.worst, limit,
                  verdict.gradient_error, worst.exceeding, verdict.gradient_corner, verdict.gradient_edge,
                  verdict.gradient_interior);
  }
  verdict.failed = "repeat";
  if (!row.repeatable) return "";
  if (std::bit_cast<std::uint64_t>(mean[0]) != std::bit_cast<std::uint64_t>(mean[1])) {
    return format("two runs differ in the mean: %.17g, %.17g", mean[0], mean[1]);
  }
  if (gradient_bits[0] != gradient_bits[1]) return "two runs differ in the gradient";
  return "";
}

}  // namespace

Verdict verify_row(const Implementation& row, const Case& problem_case, Mode mode) {
  Verdict verdict;
  std::string wrong;
  try {
    wrong = verify_into(verdict, row, problem_case, mode);
  } catch (const std::bad_alloc&) {
    wrong = "out of memory";
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  verdict.ok = wrong.empty();
  if (verdict.ok) {
    verdict.failed = "";
    return verdict;
  }
  const std::string name = case_name(row, problem_case, mode), &own = problem_case.test();
  verdict.message = (own.empty() ? name : own) + ": " + wrong + "\n  repeat with: ./suite test --filter '^" +
                    (own.empty() ? "accuracy." + name : own) + "$'";
  return verdict;
}

}  // namespace ssim::verify
