// SPDX-License-Identifier: MIT
// Marks a function as callable from host and device code; nothing where a plain C++ compiler reads it.
#pragma once

#if defined(__CUDACC__)
#define SSIM_HOST_DEVICE __host__ __device__ __forceinline__
#elif defined(SSIM_EMULATE)
// Compiled with other flags than the rest of the host code: never as a function that the linker could share.
#define SSIM_HOST_DEVICE inline __attribute__((always_inline))
#else
#define SSIM_HOST_DEVICE inline
#endif
