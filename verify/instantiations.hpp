// SPDX-License-Identifier: MIT
// Counts, after tests have run in emulation, that every instantiation of every kernel was among what they launched: the
// list of kernels is that of resource_budget.json, which the compiler's output is held against.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "kernels/cuda/emulation/grid.hpp"

namespace ssim::verify {

/// Of the kernels whose names `ours` wants.
inline void expect_every_instantiation(const std::function<bool(const std::string&)>& ours) {
  std::map<std::string, int> ran, wanted;
  for (const auto& [name, address] : cuda_emulated::emulation::launched()) ++ran[name];
  std::set<std::string> instantiations;
  const nlohmann::json budget = nlohmann::json::parse(std::ifstream(SSIM_BUDGET));
  for (const auto& [arch, kernels] : budget.at("kernels").items()) {
    for (const auto& [name, figures] : kernels.items()) instantiations.insert(name);
  }
  for (const std::string& name : instantiations) ++wanted[name.substr(0, name.find('<'))];
  int kernels = 0;
  for (const auto& [name, count] : wanted) {
    if (!ours(name)) continue;
    EXPECT_EQ(ran[name], count) << "instantiations of " << name;
    ++kernels;
  }
  EXPECT_GT(kernels, 0);
}

/// The operator's kernels belong to no row: test_operator_kernels.cpp runs them, test_kernels.cpp all others.
inline bool is_of_operator(const std::string& kernel) { return kernel.rfind("operator_", 0) == 0; }

}  // namespace ssim::verify
