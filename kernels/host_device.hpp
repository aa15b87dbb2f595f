// SPDX-License-Identifier: MIT
// Marks a function as callable from host and device code; nothing where a plain C++ compiler reads it.
#pragma once

#if defined(__CUDACC__)
#define SSIM_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define SSIM_HOST_DEVICE inline
#endif
