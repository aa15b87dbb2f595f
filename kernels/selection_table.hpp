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
// source cuda 9.0: reports/results/tuning/cuda-9.0.json (NVIDIA H200, driver 580.159.04, commit 70935d4b5b57, 2026-11-28)
// source cpu: reports/results/xeon-2-threads/report.json --rows stream|tensor.* (Intel(R) Xeon(R) Processor, commit 985426ed98cd, 2026-11-23)
//
// class, mode, padding, alignments, width and elements a multiprocessor at most, rows, figures
inline constexpr SelectionLine kSelection[] = {
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, 3000, {"tensor", "stream", "tensor_portable"},
     "1x1x128x128 graph: tensor 521, stream 526, tensor_portable 479; 8x3x128x128 graph: tensor 22.6, stream 23.3, tensor_portable 25.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, 100000, {"tensor", "tensor_portable", "stream"},
     "48x3x128x128 cold: tensor 8.3, tensor_portable 9.64, stream 10.3; 128x3x128x128 cold: tensor 5.26, tensor_portable 6.29, stream 7.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 128, no_limit, {"tensor", "stream", "tensor_portable"},
     "512x3x128x128 cold: tensor 4.09, stream 5.28, tensor_portable 5.32 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, 3000, {"tensor_portable", "stream", "tensor"},
     "1x1x256x256 graph: tensor_portable 123, stream 134, tensor 134; 1x3x256x256 graph: tensor_portable 45.9, stream 45.6, tensor 46.7 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, 100000, {"tensor", "tensor_portable", "stream"},
     "16x3x256x256 cold: tensor 7.11, tensor_portable 8.11, stream 8.52; 32x3x256x256 cold: tensor 5.26, tensor_portable 6.31, stream 6.7 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 256, no_limit, {"tensor", "stream", "tensor_portable"},
     "128x3x256x256 cold: tensor 3.92, stream 5.05, tensor_portable 5.06 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x512x512 graph: stream 35.1, tensor 35.8, tensor_portable 35.7 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, 10000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 12, stream 14.4, tensor_portable 14.8 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, 512, no_limit, {"tensor", "tensor_portable", "stream"},
     "3x3x512x512 cold: tensor 7.84, tensor_portable 9.03, stream 9.94; 8x3x512x512 cold: tensor 5.05, tensor_portable 6.19, stream 6.4; 32x3x512x512 cold: tensor 3.79, tensor_portable 4.89, stream 5.02 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x1024 graph: stream 35, tensor 35.7, tensor_portable 35.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "1x1x1024x1024 graph: tensor 10.2, stream 12.1, tensor_portable 12.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x720x1280 cold: tensor 7.21, tensor_portable 8.39, stream 9.29; 1x3x1080x1920 cold: tensor 5.08, tensor_portable 6.22, stream 6.47; 5x1x1500x1500 cold: tensor 4.31, tensor_portable 5.46, stream 5.71 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x2160x3840 cold: tensor 3.75, stream 4.95, tensor_portable 4.85; 8x3x1080x1920 cold: tensor 3.57, stream 4.61, tensor_portable 4.62 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8, 256, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x255 graph: stream 146, tensor 154, tensor_portable 155; 1x3x256x254 graph: stream 50.2, tensor 53.9, tensor_portable 56.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x512x510 graph: tensor 14.2, stream 15.4, tensor_portable 17.8; 1x3x1080x1922 cold: tensor 5.74, stream 7.22, tensor_portable 8.39; 8x3x1080x1922 cold: tensor 3.98, stream 5.3, tensor_portable 6.63 ps an element; 13 more"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 128, 100000, {"tensor", "tensor_portable", "stream"},
     "1x1x128x128 graph: tensor 522, tensor_portable 478, stream 532; 48x3x128x128 cold: tensor 8.49, tensor_portable 9.33, stream 10.1; 128x3x128x128 cold: tensor 5.18, tensor_portable 6.17, stream 7.01 ps an element; 1 more"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 128, no_limit, {"tensor", "stream", "tensor_portable"},
     "512x3x128x128 cold: tensor 3.92, stream 4.97, tensor_portable 5.11 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, 3000, {"tensor_portable", "tensor", "stream"},
     "1x1x256x256 graph: tensor_portable 123, tensor 134, stream 137; 1x3x256x256 graph: tensor_portable 46.9, tensor 46.7, stream 46.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, 100000, {"tensor", "tensor_portable", "stream"},
     "16x3x256x256 cold: tensor 6.99, tensor_portable 8.11, stream 8.7; 32x3x256x256 cold: tensor 5.2, tensor_portable 6.33, stream 6.71 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 256, no_limit, {"tensor", "stream", "tensor_portable"},
     "128x3x256x256 cold: tensor 3.87, stream 4.95, tensor_portable 5.02 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 3000, {"stream", "tensor_portable", "tensor"},
     "1x1x512x512 graph: stream 35.8, tensor_portable 36.3, tensor 37.7 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 10000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 12.4, stream 15.1, tensor_portable 15.4 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 30000, {"tensor", "tensor_portable", "stream"},
     "3x3x512x512 cold: tensor 8.1, tensor_portable 9.36, stream 9.85 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, 100000, {"tensor", "stream", "tensor_portable"},
     "8x3x512x512 cold: tensor 5.19, stream 6.37, tensor_portable 6.31 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, 512, no_limit, {"tensor", "tensor_portable", "stream"},
     "32x3x512x512 cold: tensor 3.8, tensor_portable 4.92, stream 5.03 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, 3000, {"tensor", "tensor_portable", "stream"},
     "1x1x256x1024 graph: tensor 35.7, tensor_portable 36.1, stream 36.8 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "1x1x1024x1024 graph: tensor 10.8, stream 12.6, tensor_portable 12.8 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x720x1280 cold: tensor 7.42, tensor_portable 8.51, stream 9.09; 1x3x1080x1920 cold: tensor 5.22, tensor_portable 6.23, stream 6.63; 5x1x1500x1500 cold: tensor 4.32, tensor_portable 5.42, stream 5.63 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x2160x3840 cold: tensor 3.81, stream 5.02, tensor_portable 4.93; 8x3x1080x1920 cold: tensor 3.56, stream 4.63, tensor_portable 4.64 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8, 256, 3000, {"stream", "tensor", "tensor_portable"},
     "1x1x256x255 graph: stream 146, tensor 157, tensor_portable 155; 1x3x256x254 graph: stream 50, tensor 53.8, tensor_portable 56.5 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "1x3x512x510 graph: tensor 14.1, stream 15.6, tensor_portable 17.7; 1x3x1080x1922 cold: tensor 5.53, stream 7.07, tensor_portable 7.8; 8x3x1080x1922 cold: tensor 3.74, stream 4.97, tensor_portable 6.19 ps an element; 13 more"},
    {Device::cuda, 90, Mode::train, Padding::same, 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x1x128x128 graph: tensor_train 866, stream 859; 16x3x256x256 cold: tensor_train 12.5, stream 21.8; 8x3x1080x1920 cold: tensor_train 7.75, stream 8.94 ps an element; 19 more"},
    {Device::cuda, 90, Mode::train, Padding::same, 8, 256, 3000, {"stream", "tensor_train"},
     "1x3x256x254 graph: stream 81.7, tensor_train 82.6 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::same, 8, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x510 graph: tensor_train 29.8, stream 29.6; 1x3x1080x1922 cold: tensor_train 12.3, stream 13.1; 8x3x1080x1922 cold: tensor_train 9.87, stream 10.9 ps an element; 5 more"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, 128, 3000, {"stream", "tensor_train"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, 128, no_limit, {"tensor_train", "stream"},
     "128x3x128x127 cold: tensor_train 13, stream 24.9 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, 512, 10000, {"stream", "tensor_train"},
     "1x1x256x255 graph: stream 227, tensor_train 246; 1x3x512x511 graph: stream 29.1, tensor_train 29.5 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::same, 4, no_limit, no_limit, {"tensor_train", "stream"},
     "1x1x1024x1023 graph: tensor_train 22.2, stream 24.7; 32x3x256x255 cold: tensor_train 11.5, stream 18.3; 8x3x1080x1921 cold: tensor_train 9.8, stream 10.9 ps an element; 3 more"},
    {Device::cuda, 90, Mode::train, Padding::valid, 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x1x128x128 graph: tensor_train 871, stream 852; 16x3x256x256 cold: tensor_train 13.3, stream 21.8; 8x3x1080x1920 cold: tensor_train 7.84, stream 8.96 ps an element; 19 more"},
    {Device::cuda, 90, Mode::train, Padding::valid, 4 | 8, 256, 3000, {"stream", "tensor_train"},
     "1x1x256x255 graph: stream 227, tensor_train 249; 1x3x256x254 graph: stream 80.9, tensor_train 83.3 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::valid, 4 | 8, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x510 graph: tensor_train 29.9, stream 29.6; 1x3x1080x1922 cold: tensor_train 12.4, stream 13.2; 8x3x1080x1922 cold: tensor_train 9.84, stream 10.9 ps an element; 13 more"},
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
