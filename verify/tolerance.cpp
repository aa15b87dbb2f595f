// SPDX-License-Identifier: MIT
#include "tolerance.hpp"

#include <stdexcept>

namespace ssim::verify {
namespace {

// clang-format off
struct Entry {
  const char* input_class;
  Tolerance sum_difference, classic;
};

// What rounding does. A window's variance is a difference of numbers of the size E[s^2] <= 4, rounded to eps = 6e-8 of
// that, and SSIM divides it by at least C2 = 9e-4: where windows vary much more than C2 (noise, texture) little comes
// of it, where they are flat up to eps * E[s^2] / C2 = 2e-4 of the term that it changes.
//
// Sum/difference rows: mean and gradient are the accuracy table of the design, found by an fp32 emulation of that basis
// on each class. Errors of single positions are random: 3e-6 in noise (one position of noise: 8e-7 to 1e-6 seen), 3e-5
// where windows may be flat (2e-4 of a 1 - SSIM of about 0.15; 2.4e-5 seen in a crop of a photograph), so the mean over
// N positions has position / sqrt(N) of it; at edges twice as much, because all windows along one round alike. Equal images have d = 0 throughout: exactly 1, exactly no gradient.
//
// Classic rows: E[x^2] - mu^2 meets 2 E[xy] - 2 mu^2, and 1 - SSIM is a difference of two numbers near 1, so errors have
// one sign and do not average out; they are worst for 121 taps added one after the other. Each figure is two to four
// times the largest error seen on the classic rows (host, emulated), in the comment behind it. Equal images have a
// gradient of rounding errors: eps / variance of x, in units of 1 / N.
constexpr double kUnit = 1e-6;

// Sum/difference rows that square s as it is round a number of up to 4 where the others round the spread around a
// constant, and a bright region rounds all its windows alike, so that errors of the mean average out over regions
// rather than over positions. Found by random shapes, mostly of one row of windows; with what was seen at most, in
// units of what is allowed without: mean 3.1 (photo_quantise, 1x1x2448x11), gradient 2.2 (textured).
constexpr double kUncentredMean = 4, kUncentredPosition = 3, kUncentredGradient = 3, kUncentredLoss = 4;
const Entry kEntries[] = {
    // class             sum/difference: mean, position, gradient, unit, 1 - SSIM    classic                 (seen)
    {"uniform",          {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 2e-5, kUnit}},
    {"checkerboard",     {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 2e-5, kUnit}},
    {"textured",         {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 1e-4, kUnit}},     // gradient 4.3e-5
    {"dark",             {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 2e-5, kUnit}},
    {"hdr",              {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 2e-5, kUnit}},
    {"pattern",          {5e-7, 3e-6, 2e-5, kUnit},          {5e-7, 3e-6, 2e-5, kUnit}},
    {"anticorrelated",   {5e-7, 3e-6, 1e-4, kUnit},          {2e-6, 3e-6, 4e-4, kUnit}},     // mean 7e-7, gradient 1.5e-4
    {"impulse",          {5e-7, 3e-6, 1e-4, kUnit},          {5e-7, 3e-6, 1e-4, kUnit}},
    {"smooth",           {3e-7, 3e-5, 1e-3, kUnit},          {6e-5, 3e-5, 6e-3, 1e-4}},      // mean 2.3e-5, gradient 3.1e-3
    {"waves",            {3e-7, 3e-5, 1e-3, kUnit},          {1e-5, 3e-5, 1e-3, 1e-4}},
    {"near_1e-2",        {3e-7, 3e-5, 1e-3, kUnit},          {5e-5, 3e-5, 6e-3, 1e-4}},      // mean 1.7e-5
    {"near_3e-3",        {3e-7, 3e-5, 1e-3, kUnit},          {5e-5, 3e-5, 6e-3, 1e-4}},      // mean 2e-5, gradient 2.9e-3
    {"near_5e-4",        {3e-7, 3e-5, 1e-3, kUnit, 1e-5},    {5e-5, 3e-5, 3e-2, 1e-4}},      // mean 1.6e-5, gradient 1.2e-2
    {"local",            {3e-7, 3e-6, 1e-3, kUnit, 0, true}, {3e-6, 3e-5, 1e-3, 1e-4, 0, true}},
    {"identical",        {1e-15, 0, 0, 0},                   {3e-6, 3e-6, 0, 1e-4}},         // unit 3.7e-5
    {"constant_0",       {1e-15, 0, 0, 0},                   {2.4e-7, 0, 0, 0}},            // mean 6e-8, one ulp; 4 allowed
    {"constant_1",       {1e-15, 0, 0, 0},                   {3e-6, 3e-6, 0, 3e-3}},         // unit 1.1e-3
    {"flat",             {1e-7, 3e-6, 2e-3, kUnit},          {5e-4, 3e-5, 6e-3, kUnit}},     // mean 2e-4, gradient 2.4e-3
    {"edges",            {5e-7, 6e-5, 3e-3, kUnit},          {5e-4, 3e-5, 4e-2, kUnit}},     // mean 2.2e-4, gradient 1.6e-2
    {"constant_unequal", {3e-6, 3e-6, 2e-3, kUnit},          {5e-4, 3e-5, 3e-2, kUnit}},     // mean 2e-4, gradient 1.3e-2
    {"photo_blur",       {3e-7, 3e-5, 1e-3, kUnit},          {6e-5, 3e-5, 4e-3, 1e-4}},      // mean 2.4e-5
    {"photo_noise",      {3e-7, 3e-5, 1e-3, kUnit},          {6e-5, 3e-5, 4e-3, 1e-4}},      // mean 7.8e-6
    {"photo_quantise",   {3e-7, 3e-5, 1e-3, kUnit},          {6e-5, 3e-5, 4e-3, 1e-4}},      // mean 6.7e-6
    {"photo_shift",      {3e-7, 3e-5, 1e-3, kUnit},          {6e-5, 3e-5, 4e-3, 1e-4}},      // mean 9.1e-6, gradient 1.8e-3 (photo_blur)
};
// clang-format on

}  // namespace

Tolerance tolerance(const Implementation& row, const std::string& input_class) {
  for (const Entry& entry : kEntries) {
    if (input_class == entry.input_class) {
      Tolerance allowed = row.basis == Basis::classic ? entry.classic : entry.sum_difference;
      if (row.basis == Basis::sum_difference && !row.centred) {
        allowed.mean *= kUncentredMean;
        allowed.position *= kUncentredPosition;
        allowed.gradient *= kUncentredGradient;
        allowed.loss *= kUncentredLoss;
      }
      if (row.mean_is_fp32) {
        allowed.mean += 6e-8;  // half a unit in the last place of numbers from 0.5 to 1
        allowed.loss = 0;      // which is all that is left of 1 - SSIM
      }
      return allowed;
    }
  }
  throw std::invalid_argument("no tolerance for input class \"" + input_class + "\"");
}

}  // namespace ssim::verify
