// SPDX-License-Identifier: MIT
// A shared object that exports the C contract of kernels/ssim_row.h, as rows.
#pragma once

#include <string>
#include <vector>

#include "kernels/implementation.hpp"

namespace ssim {

/// One row for each device that the library supports for an ordinary image, named `name`. Throws std::runtime_error
/// where the file cannot be loaded, lacks a function (its message names it), or supports nothing. The library stays
/// loaded.
std::vector<Implementation> library_rows(const std::string& path, const std::string& name);

/// The rows of the library that the environment names: SUITE_LIBRARY=PATH, SUITE_LIBRARY_NAME (default "library").
/// Empty if it names none. So every test and benchmark that walks the rows takes it along.
std::vector<Implementation> library_rows_of_environment();

}  // namespace ssim
