// SPDX-License-Identifier: MIT
// Everything in a CUDA kernel that is not plain C++ goes through this header: launches, shared memory, barriers,
// asynchronous copies, shuffles, atomics. Kernel files use it and the built-in indices (threadIdx, blockIdx, blockDim,
// gridDim), __global__, __launch_bounds__ and __restrict__, and nothing else of CUDA.
//
// That keeps one source runnable in two ways: compiled by nvcc for a card, or by a plain C++ compiler against a host
// version of this header that emulates a block thread by thread. SSIM_EMULATE selects the latter.
//
// A kernel keeps its shared memory in one struct and asks for it with shared<T>(); its size is given at the launch.
#pragma once

#if defined(SSIM_EMULATE)
#include "emulation/primitives_host.hpp"
#else
#include "primitives_device.cuh"
#endif
