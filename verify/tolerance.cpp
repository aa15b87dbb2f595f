// SPDX-License-Identifier: MIT
#include "tolerance.hpp"

#include <algorithm>
#include <span>
#include <stdexcept>

namespace ssim::verify {
namespace {

// What rounding does. A window's variance is a difference of numbers of the size E[s^2] <= 4, rounded to eps = 6e-8 of
// that, and SSIM divides it by at least C2 = 9e-4: where windows vary much more than C2 (noise, texture) little comes
// of it, where they are flat up to eps * E[s^2] / C2 = 2e-4 of the term that it changes. Errors of single positions are
// random, so the mean over N of them has position / sqrt(N); what does not average out is `mean`.
//
// Each figure is two to three times the largest error of its rows and class over the tables and 150 to 600 random
// problems (CPU; CUDA rows emulated), rounded, or twice what an hour of further random problems found; gradients at
// most what is promised (test_tolerance.cpp).
constexpr double kUnit = 1e-6;

struct Line {
  const char* input_class;
  Tolerance allowed;  // mean, position, gradient, gradient's unit, 1 - SSIM, by peak
};

// clang-format off
// Sum/difference, s less a constant: the spread around the constant is what is squared. Equal images have d = 0
// throughout: exactly 1, exactly no gradient. At `edges` whole regions round their windows alike: 1.4e-6 in 3600
// positions, hence the large figure of a position. Of d nothing is taken: between constant images E[d^2] - md^2 is off by
// eps of d^2, up to 1e-4 of what C2 makes of it, the same everywhere.
const Line kCentred[] = {
    {"uniform",          {1e-7, 3e-6, 1e-5, kUnit}},
    {"checkerboard",     {4e-7, 3e-6, 2e-5, kUnit}},
    {"textured",         {1e-7, 3e-6, 2e-5, kUnit}},
    {"dark",             {1e-7, 4e-7, 5e-6, kUnit}},
    {"hdr",              {1e-7, 5e-6, 1e-5, kUnit}},
    {"pattern",          {1e-7, 3e-6, 1e-5, kUnit}},
    {"anticorrelated",   {4e-7, 3e-6, 3e-5, kUnit}},
    {"impulse",          {1e-7, 3e-6, 1e-4, kUnit}},
    {"smooth",           {1e-7, 3e-6, 3e-4, kUnit}},
    {"waves",            {1e-7, 5e-6, 1e-4, kUnit}},
    {"near_1e-2",        {1e-7, 5e-6, 4e-4, kUnit}},
    {"near_3e-3",        {1e-7, 1e-6, 3e-4, kUnit}},
    {"near_5e-4",        {1e-7, 4e-7, 4e-4, kUnit, 1e-5}},
    {"local",            {1e-7, 4e-7, 3.5e-6, kUnit, 0, true}},
    {"identical",        {1e-15, 0, 0, 0}},
    {"constant_0",       {1e-15, 0, 0, 0}},
    {"constant_1",       {1e-15, 0, 0, 0}},
    {"flat",             {1e-7, 4e-7, 5e-4, kUnit}},
    {"edges",            {5e-7, 1.2e-4, 2e-3, kUnit}},
    {"constant_unequal", {2e-6, 3e-6, 1.5e-3, kUnit}},
    {"constant_levels",  {2e-4, 3e-6, 1.4e-3, kUnit}},
    {"photo_blur",       {3e-7, 3e-5, 4e-4, kUnit}},
    {"photo_noise",      {3e-7, 3e-5, 2e-4, kUnit}},
    {"photo_quantise",   {3e-7, 8e-5, 1e-3, kUnit}},
    {"photo_shift",      {3e-7, 3e-5, 4e-4, kUnit}},
};

// The same on tensor cores. Their sums are cut off, which leaves a bias in flat regions far from the constant: 8e-7 in
// crops of 15 to 21 rows of a photograph, 1e-7 over whole ones. And a window that is 7.5e-6 off the Gaussian changes
// each statistic by at most 1.5e-5 of itself, and so 1 - SSIM near convergence. In constant images of 0.9 and 0.8 both
// meet: 2.4e-6, the same everywhere. Nothing is less than for centred rows: dark planes are done in fp32, and production
// takes such a row where it is the quicker.
const Line kFp16Taps[] = {
    {"uniform",          {4e-7, 3e-6, 1e-5, kUnit}},
    {"checkerboard",     {4e-7, 3e-6, 2e-5, kUnit}},
    {"textured",         {2e-7, 3e-6, 2e-5, kUnit}},
    {"dark",             {1e-7, 4e-7, 5e-6, kUnit}},
    {"hdr",              {1e-7, 5e-6, 1e-5, kUnit}},
    {"pattern",          {3e-7, 3e-6, 6.5e-5, kUnit}},
    {"anticorrelated",   {4.5e-7, 3e-6, 5e-5, kUnit}},
    {"impulse",          {3.5e-7, 3e-6, 1e-4, kUnit}},
    {"smooth",           {3e-7, 3e-6, 3e-4, kUnit}},
    {"waves",            {3e-7, 5e-6, 1e-4, kUnit}},
    {"near_1e-2",        {3e-7, 5e-6, 4e-4, kUnit}},
    {"near_3e-3",        {1e-7, 1e-6, 3e-4, kUnit}},
    {"near_5e-4",        {1e-7, 4e-7, 4e-4, kUnit, 2.5e-5}},
    {"local",            {1e-7, 4e-7, 3e-4, kUnit, 0, true}},
    {"identical",        {1e-15, 0, 0, 0}},
    {"constant_0",       {1e-15, 0, 0, 0}},
    {"constant_1",       {1e-15, 0, 0, 0}},
    {"flat",             {1e-7, 1e-6, 5e-4, kUnit}},
    {"edges",            {5e-7, 1.2e-4, 2e-3, kUnit}},
    {"constant_unequal", {3e-6, 6e-5, 2e-3, kUnit}},
    {"constant_levels",  {2e-4, 6e-5, 2e-3, kUnit}},
    {"photo_blur",       {3e-7, 5e-5, 4e-4, kUnit}},
    {"photo_noise",      {3e-7, 8e-5, 2e-4, kUnit}},
    {"photo_quantise",   {3e-7, 8e-5, 1e-3, kUnit}},
    {"photo_shift",      {3e-7, 8e-5, 4e-4, kUnit}},
};

// Sum/difference, s squared as it is, numbers of up to 4: errors are what the images' brightness makes them, 3.8e-6 in
// the mean of a bright strip of 2600 positions, 8e-6 between few flat rectangles.
const Line kUncentred[] = {
    {"uniform",          {1e-7, 1e-5, 1e-5, kUnit}},
    {"checkerboard",     {6e-7, 3e-6, 1e-5, kUnit}},
    {"textured",         {1e-7, 4e-6, 6e-5, kUnit}},
    {"dark",             {1e-7, 4e-7, 5e-6, kUnit}},
    {"hdr",              {1e-7, 1.2e-5, 1.5e-5, kUnit}},
    {"pattern",          {1e-7, 5e-6, 1e-5, kUnit}},
    {"anticorrelated",   {5e-7, 6e-6, 1e-4, kUnit}},
    {"impulse",          {1e-7, 3e-6, 1e-4, kUnit}},
    {"smooth",           {3e-7, 3e-5, 2e-3, kUnit}},
    {"waves",            {2e-7, 4e-5, 2e-4, kUnit}},
    {"near_1e-2",        {4e-7, 6e-5, 1.2e-3, kUnit}},
    {"near_3e-3",        {1e-7, 5e-6, 1.2e-3, kUnit}},
    {"near_5e-4",        {1e-7, 4e-7, 1.5e-3, kUnit, 1e-4, false, 8e-4}},
    {"local",            {1e-7, 8e-7, 1e-5, kUnit, 0, true}},
    {"identical",        {1e-15, 0, 0, 0}},
    {"constant_0",       {1e-15, 0, 0, 0}},
    {"constant_1",       {1e-15, 0, 0, 0}},
    {"flat",             {1e-7, 1e-5, 2.5e-3, kUnit}},
    {"edges",            {8e-6, 1e-4, 2.5e-3, kUnit}},
    {"constant_unequal", {3e-6, 3e-6, 1.5e-3, kUnit}},
    {"constant_levels",  {4e-4, 3e-6, 2.5e-3, kUnit}},
    {"photo_blur",       {5e-7, 6e-5, 2e-3, kUnit}},
    {"photo_noise",      {4e-6, 6e-5, 4e-4, kUnit}},
    {"photo_quantise",   {3e-6, 1e-4, 2.5e-3, kUnit}},
    {"photo_shift",      {5e-6, 1e-4, 1.2e-3, kUnit}},
};

// E[x^2] - mu^2 meets 2 E[xy] - 2 mu^2, and 1 - SSIM is a difference of two numbers near 1, so errors have one sign.
// Equal images have a gradient of rounding errors: eps / variance of x, in units of 1 / N.
const Line kClassic[] = {
    {"uniform",          {2e-7, 4e-6, 1e-5, kUnit}},
    {"checkerboard",     {3e-7, 3e-6, 3.9e-6, kUnit}},
    {"textured",         {4e-7, 1e-5, 8e-5, kUnit}},
    {"dark",             {3e-7, 1e-6, 8e-6, kUnit}},
    {"hdr",              {2e-7, 5e-6, 1e-5, kUnit}},
    {"pattern",          {2e-7, 3e-6, 9e-6, kUnit}},
    {"anticorrelated",   {8e-7, 6e-6, 1e-4, kUnit}},
    {"impulse",          {3e-7, 3e-6, 5e-5, kUnit}},
    {"smooth",           {6e-6, 3e-4, 5e-3, kUnit}},
    {"waves",            {6e-7, 3e-5, 2e-4, kUnit}},
    {"near_1e-2",        {8e-6, 3e-4, 1.5e-3, kUnit}},
    {"near_3e-3",        {8e-6, 3e-4, 3e-3, kUnit}},
    {"near_5e-4",        {8e-6, 3e-4, 1.2e-2, kUnit}},
    {"local",            {2e-7, 6e-6, 1e-4, 1.5e-4, 0, true}},
    {"identical",        {3e-7, 1e-6, 0, 1e-4}},
    {"constant_0",       {2.4e-7, 0, 0, 0}},
    {"constant_1",       {3e-6, 1e-6, 0, 2.5e-3}},  // a card's fused E[x^2] - mu^2, and all of it of one sign
    {"flat",             {3e-5, 1.5e-3, 4e-3, kUnit}},
    {"edges",            {1e-4, 3e-3, 6e-3, kUnit}},
    {"constant_unequal", {4e-4, 3e-5, 1.5e-2, kUnit}},
    {"constant_levels",  {6e-4, 3e-5, 0, 2e-3}},
    {"photo_blur",       {1.5e-5, 5e-4, 3e-3, kUnit}},
    {"photo_noise",      {8e-6, 1e-4, 7e-4, kUnit}},
    {"photo_quantise",   {1.5e-5, 4e-4, 2.9e-3, kUnit}},
    {"photo_shift",      {3e-5, 4e-4, 4e-3, kUnit}},
};

// The same by operators one after the other, each rounded to fp32, and with up to 121 taps added up in a row.
const Line kComposed[] = {
    {"uniform",          {4.5e-7, 5e-6, 2e-5, kUnit}},
    {"checkerboard",     {8e-7, 3e-6, 8e-6, kUnit}},
    {"textured",         {7e-7, 1.2e-5, 2e-4, kUnit}},
    {"dark",             {4e-7, 2e-6, 1e-5, kUnit}},
    {"hdr",              {5e-7, 5e-6, 2e-5, kUnit}},
    {"pattern",          {5e-7, 5e-6, 2e-5, kUnit}},
    {"anticorrelated",   {1.5e-6, 1e-5, 3e-4, kUnit}},
    {"impulse",          {4e-7, 3e-6, 1e-4, kUnit}},
    {"smooth",           {1.5e-5, 8e-4, 6e-3, kUnit}},
    {"waves",            {2e-6, 5e-5, 5e-4, kUnit}},
    {"near_1e-2",        {1.5e-5, 6e-4, 3e-3, kUnit}},
    {"near_3e-3",        {1.2e-5, 6e-4, 5e-3, kUnit}},
    {"near_5e-4",        {1.5e-5, 6e-4, 2e-2, kUnit}},
    {"local",            {4.5e-7, 5e-6, 1e-4, 3e-4, 0, true}},
    {"identical",        {4e-7, 4e-7, 0, 1e-4}},
    {"constant_0",       {2.4e-7, 0, 0, 0}},
    {"constant_1",       {4e-7, 4e-7, 0, 3e-3}},
    {"flat",             {1.5e-4, 2e-3, 6e-3, kUnit}},
    {"edges",            {3e-4, 2e-3, 2e-2, kUnit}},
    {"constant_unequal", {4e-4, 3e-5, 4e-2, kUnit}},
    {"constant_levels",  {2.4e-3, 3e-5, 0, 6e-3}},
    {"photo_blur",       {8e-5, 1.5e-3, 8e-3, kUnit}},
    {"photo_noise",      {2e-5, 2e-4, 1.5e-3, kUnit}},
    {"photo_quantise",   {8e-5, 6e-4, 2.1e-2, kUnit}},
    {"photo_shift",      {6e-5, 6e-4, 8e-3, kUnit}},
};
// clang-format on

std::span<const Line> lines_of(const Implementation& row) {
  if (row.basis == Basis::classic) return row.mean_is_fp32 ? std::span(kComposed) : std::span(kClassic);
  return row.fp16_taps ? std::span(kFp16Taps) : row.centred ? std::span(kCentred) : std::span(kUncentred);
}

}  // namespace

Tolerance tolerance(const Implementation& row, const std::string& input_class) {
  if (const auto plus = input_class.find('+'); plus != std::string::npos) {
    const Tolerance one = tolerance(row, input_class.substr(0, plus));
    const Tolerance other = tolerance(row, input_class.substr(plus + 1));
    return {std::max(one.mean, other.mean), std::max(one.position, other.position),
            std::max(one.gradient, other.gradient), std::max(one.gradient_unit, other.gradient_unit)};
  }
  for (const Line& line : lines_of(row)) {
    if (input_class != line.input_class) continue;
    Tolerance allowed = line.allowed;
    if (row.mean_is_fp32) {
      allowed.mean += 6e-8;  // half a unit in the last place of numbers from 0.5 to 1
      allowed.loss = 0;      // which is all that is left of 1 - SSIM
    }
    return allowed;
  }
  throw std::invalid_argument("no tolerance for input class \"" + input_class + "\"");
}

}  // namespace ssim::verify
