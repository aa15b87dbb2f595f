// SPDX-License-Identifier: MIT
// main() of every C++ test. A file of its own, so that programs with a main of their own can link the rest.
#include <cstdio>
#include <exception>

#include "test_main.hpp"

int main(int argc, char** argv) {
  try {
    return ssim::verify::run_tests(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}
