// SPDX-License-Identifier: MIT
// Which row production prefers where several support a problem: the first line that matches decides, and of its rows
// the first that supports the problem runs (selection.hpp). Device classes without lines, compute capabilities that
// were not measured, take the nearest class, less its rows that are made for it.
//
// Written by `./suite tune` from the figures below (reports/selection.py has the rule); a test makes it anew and
// compares. Not to be edited.
#pragma once

#include "selection.hpp"

namespace ssim {

// clang-format off
// source cuda 9.0: reports/results/tuning/cuda-9.0.json (NVIDIA H200, driver 580.159.04, commit ab0b5ac96549, 2026-11-29)
// source cpu: reports/results/xeon-2-threads/report.json --rows stream|tensor.* (Intel(R) Xeon(R) Processor, commit 985426ed98cd, 2026-11-23)
//
// class, mode, padding, alignments, width and elements a multiprocessor at most, rows, figures
inline constexpr SelectionLine kSelection[] = {
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, 3000, {"tensor", "stream", "tensor_portable"},
     "1x1x128x128 graph: tensor 527, stream 534, tensor_portable 479; 8x3x128x128 graph: tensor 23.1, stream 23.7, tensor_portable 25.9 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, 100000, {"tensor", "tensor_portable", "stream"},
     "48x3x128x128 cold: tensor 9.06, tensor_portable 10.3, stream 11.1; 128x3x128x128 cold: tensor 5.57, tensor_portable 6.59, stream 7.73 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, no_limit, {"tensor", "stream", "tensor_portable"},
     "512x3x128x128 cold: tensor 4.2, stream 5.38, tensor_portable 5.39 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, 3000, {"tensor_portable", "tensor", "stream"},
     "1x1x256x256 graph: tensor_portable 125, tensor 135, stream 134; 1x3x256x256 graph: tensor_portable 46.7, tensor 47.5, stream 46.9 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, 100000, {"tensor", "tensor_portable", "stream"},
     "16x3x256x256 cold: tensor 7.65, tensor_portable 8.63, stream 9.12; 32x3x256x256 cold: tensor 5.56, tensor_portable 6.6, stream 7.01 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, no_limit, {"tensor", "stream", "tensor_portable"},
     "128x3x256x256 cold: tensor 4.05, stream 5.15, tensor_portable 5.16 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x512x512 graph: stream 35.4, tensor 36, tensor_portable 36 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, 10000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 12.3, stream 14.6, tensor_portable 14.9 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, no_limit, {"tensor", "tensor_portable", "stream"},
     "3x3x512x512 cold: tensor 8.57, tensor_portable 9.78, stream 10.7; 8x3x512x512 cold: tensor 5.33, tensor_portable 6.47, stream 6.68; 32x3x512x512 cold: tensor 3.93, tensor_portable 5.01, stream 5.15 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x1024 graph: stream 35.3, tensor 35.9, tensor_portable 36 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "1x1x1024x1024 graph: tensor 10.4, stream 12.1, tensor_portable 12.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x720x1280 cold: tensor 7.82, tensor_portable 8.98, stream 9.93; 1x3x1080x1920 cold: tensor 5.38, tensor_portable 6.48, stream 6.79; 5x1x1500x1500 cold: tensor 4.47, tensor_portable 5.61, stream 5.87 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x2160x3840 cold: tensor 3.89, stream 5.06, tensor_portable 4.95; 8x3x1080x1920 cold: tensor 3.63, stream 4.65, tensor_portable 4.66 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8, 256, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x255 graph: stream 149, tensor 155, tensor_portable 159; 1x3x256x254 graph: stream 50.5, tensor 54.2, tensor_portable 57.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x512x510 graph: tensor 14.4, stream 15.5, tensor_portable 18.1; 1x3x1080x1922 cold: tensor 6.02, stream 7.5, tensor_portable 8.63; 8x3x1080x1922 cold: tensor 4.05, stream 5.36, tensor_portable 6.71 ps an element; 13 more"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 128, 100000, {"tensor", "tensor_portable", "stream"},
     "1x1x128x128 graph: tensor 527, tensor_portable 477, stream 539; 48x3x128x128 cold: tensor 9.22, tensor_portable 10, stream 10.8; 128x3x128x128 cold: tensor 5.47, tensor_portable 6.44, stream 7.34 ps an element; 1 more"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 128, no_limit, {"tensor", "stream", "tensor_portable"},
     "512x3x128x128 cold: tensor 4.05, stream 5.08, tensor_portable 5.2 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, 3000, {"tensor_portable", "tensor", "stream"},
     "1x1x256x256 graph: tensor_portable 125, tensor 136, stream 137; 1x3x256x256 graph: tensor_portable 47.7, tensor 47.6, stream 46.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, 100000, {"tensor", "tensor_portable", "stream"},
     "16x3x256x256 cold: tensor 7.49, tensor_portable 8.62, stream 9.25; 32x3x256x256 cold: tensor 5.46, tensor_portable 6.57, stream 6.93 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, no_limit, {"tensor", "stream", "tensor_portable"},
     "128x3x256x256 cold: tensor 3.99, stream 5.04, tensor_portable 5.1 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x512x512 graph: stream 36.1, tensor 36.7, tensor_portable 36.6 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 10000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 12.5, stream 15.1, tensor_portable 15.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 30000, {"tensor", "tensor_portable", "stream"},
     "3x3x512x512 cold: tensor 8.84, tensor_portable 10.1, stream 10.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 100000, {"tensor", "stream", "tensor_portable"},
     "8x3x512x512 cold: tensor 5.47, stream 6.63, tensor_portable 6.57 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, no_limit, {"tensor", "tensor_portable", "stream"},
     "32x3x512x512 cold: tensor 3.93, tensor_portable 5.01, stream 5.12 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "1x1x256x1024 graph: tensor 35.9, stream 36.9, tensor_portable 36.7; 1x1x1024x1024 graph: tensor 11.1, stream 12.7, tensor_portable 12.9 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x720x1280 cold: tensor 8.02, tensor_portable 9.1, stream 9.7; 1x3x1080x1920 cold: tensor 5.52, tensor_portable 6.51, stream 6.91; 5x1x1500x1500 cold: tensor 4.47, tensor_portable 5.56, stream 5.78 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x2160x3840 cold: tensor 3.95, stream 5.13, tensor_portable 5.03; 8x3x1080x1920 cold: tensor 3.63, stream 4.67, tensor_portable 4.69 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8, 256, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x255 graph: stream 149, tensor 157, tensor_portable 160; 1x3x256x254 graph: stream 50.7, tensor 54.5, tensor_portable 57.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x512x510 graph: tensor 14.4, stream 15.7, tensor_portable 18; 1x3x1080x1922 cold: tensor 5.79, stream 7.3, tensor_portable 8.1; 8x3x1080x1922 cold: tensor 3.82, stream 5.03, tensor_portable 6.28 ps an element; 13 more"},
    {Device::cuda, 90, Mode::train, Padding::same, 8 | 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x1x128x128 graph: tensor_train 884, stream 875; 16x3x256x256 cold: tensor_train 13, stream 22.5; 8x3x1080x1922 cold: tensor_train 9.86, stream 10.8 ps an element; 28 more"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, 256, 3000, {"stream", "tensor_train"},
     "1x1x256x255 graph: stream 239, tensor_train 247 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x511 graph: tensor_train 29.5, stream 31.3; 128x3x128x127 cold: tensor_train 13.3, stream 25.3; 8x3x1080x1921 cold: tensor_train 9.81, stream 10.9 ps an element; 5 more"},
    {Device::cuda, 90, Mode::train, Padding::valid, 8 | 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x1x128x128 graph: tensor_train 889, stream 888; 16x3x256x256 cold: tensor_train 13.9, stream 22.6; 8x3x1080x1922 cold: tensor_train 9.86, stream 10.9 ps an element; 28 more"},
    {Device::cuda, 90, Mode::train, Padding::valid, 4, 256, 3000, {"stream", "tensor_train"},
     "1x1x256x255 graph: stream 238, tensor_train 250 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::valid, 4, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x511 graph: tensor_train 29.1, stream 31.5; 128x3x128x127 cold: tensor_train 13.5, stream 25.3; 8x3x1080x1921 cold: tensor_train 9.75, stream 10.9 ps an element; 5 more"},
    {Device::cpu, 0, Mode::infer, Padding::same, 4 | 8 | 16, no_limit, no_limit, {"stream"},
     "1x1x256x256 wall: stream 1031; 1x3x512x512 wall: stream 1045; 1x3x1080x1920 wall: stream 1067 ps an element; 2 more"},
    {Device::cpu, 0, Mode::infer, Padding::valid, 4 | 8 | 16, no_limit, no_limit, {"stream"},
     "1x1x256x256 wall: stream 971; 1x3x512x512 wall: stream 1002; 1x3x1080x1920 wall: stream 1153 ps an element; 2 more"},
    {Device::cpu, 0, Mode::train, Padding::same, 4 | 8 | 16, no_limit, no_limit, {"stream"},
     "1x1x256x256 wall: stream 1978; 1x3x512x512 wall: stream 1975; 1x3x1080x1920 wall: stream 2044 ps an element; 2 more"},
    {Device::cpu, 0, Mode::train, Padding::valid, 4 | 8 | 16, no_limit, no_limit, {"stream"},
     "1x1x256x256 wall: stream 1724; 1x3x512x512 wall: stream 1906; 1x3x1080x1920 wall: stream 2031 ps an element; 2 more"},
};
// clang-format on

}  // namespace ssim
