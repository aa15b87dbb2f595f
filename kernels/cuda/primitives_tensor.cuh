// SPDX-License-Identifier: MIT
// Primitives for kernels on tensor cores: packed half precision, matrix products and their fragments, barriers in
// shared memory that count bytes, and copies that the hardware makes on its own (TMA). Device and host version, like
// primitives.cuh, which this includes.
//
// Fragments are those of the PTX manual, section "Matrix fragments for mma": with g = lane / 4 and t = lane % 4,
//   A of m16n8k16  a[0] = (row g, k 2t, 2t+1)  a[1] = row g+8  a[2] = row g, k+8  a[3] = row g+8, k+8;  k8: a[0], a[1]
//   B              b[0] = (k 2t, 2t+1; column g)  b[1] = k+8;  k8: b[0]
//   C, D           c[0], c[1] = (row g, columns 2t, 2t+1)  c[2], c[3] = row g+8
// where the lower half of a register is the element of the smaller k.
#pragma once

#include "primitives.cuh"

#if defined(SSIM_EMULATE)
#include "emulation/primitives_tensor_host.hpp"
#else
#include "primitives_tensor_device.cuh"
#endif
