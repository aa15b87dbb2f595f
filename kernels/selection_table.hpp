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
// source cuda 9.0: reports/results/h200/report.json --rows stream|tensor.* (NVIDIA H200, driver 580.159.04, commit 31983cdfc909, 2026-11-24)
// source cpu: reports/results/xeon-2-threads/report.json --rows stream|tensor.* (Intel(R) Xeon(R) Processor, commit 985426ed98cd, 2026-11-23)
//
// class, mode, padding, alignments, width and elements a multiprocessor at most, rows, figures
inline constexpr SelectionLine kSelection[] = {
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, 512, 30000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 14.2, stream 14.7, tensor_portable 15.2 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, 512, 100000, {"tensor", "tensor_portable", "stream"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, 512, no_limit, {"tensor", "stream", "tensor_portable"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x1080x1920 cold: tensor 5.17, tensor_portable 6.38, stream 6.53; 5x1x1500x1500 cold: tensor 4.37, tensor_portable 5.59, stream 5.73 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::same, 4 | 8 | 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "16x3x1080x1920 cold: tensor 3.36, stream 4.36, tensor_portable 4.47 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, 512, 30000, {"tensor", "stream", "tensor_portable"},
     "1x3x512x512 graph: tensor 14.8, stream 15, tensor_portable 16.1 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, 512, 100000, {"tensor", "tensor_portable", "stream"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, 512, no_limit, {"tensor", "stream", "tensor_portable"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, no_limit, 10000, {"tensor", "stream", "tensor_portable"},
     "no figure; as the nearest class"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, no_limit, 100000, {"tensor", "tensor_portable", "stream"},
     "1x3x1080x1920 cold: tensor 5.35, tensor_portable 6.43, stream 6.71; 5x1x1500x1500 cold: tensor 4.46, tensor_portable 5.58, stream 5.63 ps an element"},
    {Device::cuda, 90, Mode::infer, Padding::valid, 4 | 8 | 16, no_limit, no_limit, {"tensor", "stream", "tensor_portable"},
     "16x3x1080x1920 cold: tensor 3.36, stream 4.37, tensor_portable 4.48 ps an element"},
    {Device::cuda, 90, Mode::train, Padding::same, 4 | 8 | 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x512 graph: tensor_train 26.6, stream 30; 5x1x1500x1500 cold: tensor_train 10.1, stream 12.9; 16x3x1080x1920 cold: tensor_train 7.47, stream 8.69 ps an element; 1 more"},
    {Device::cuda, 90, Mode::train, Padding::valid, 4 | 8 | 16, no_limit, no_limit, {"tensor_train", "stream"},
     "1x3x512x512 graph: tensor_train 26.7, stream 30; 5x1x1500x1500 cold: tensor_train 10.2, stream 12.9; 16x3x1080x1920 cold: tensor_train 7.55, stream 8.7 ps an element; 1 more"},
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
