/* SPDX-License-Identifier: MIT
 * The contract of a row in plain C: a shared object that exports these functions is a row like any other.
 *
 * All pointers but the problem's point into the memory of `device`. The workspace is aligned to 256 bytes and begins
 * with a control block of 256 bytes that is zero when a call starts and must be zero when its work is done; what lies
 * behind it holds anything. Calls neither allocate nor synchronise; work goes to `stream` (a cudaStream_t; NULL on the
 * CPU). The functions that return int return 0 when all is well and any other number for a failure.
 */
#ifndef SSIM_ROW_H
#define SSIM_ROW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SSIM_ROW_SAME 0
#define SSIM_ROW_VALID 1
#define SSIM_ROW_CPU 0
#define SSIM_ROW_CUDA 1

/* fp32 images [batch, channels, height, width], contiguous; padding SSIM_ROW_SAME or _VALID; device SSIM_ROW_CPU or
 * _CUDA; c1 = (0.01 * data range)^2, c2 = (0.03 * data range)^2. */
typedef struct ssim_problem {
  int64_t batch, channels, height, width;
  int32_t padding, device;
  float c1, c2;
} ssim_problem;

/* NULL = this problem can be computed (train: 0 value alone, 1 value and gradient); else the reason why not. */
const char* ssim_row_supports(const ssim_problem* problem, int train);

/* Bytes of workspace: 0, or at least 256. */
int64_t ssim_row_workspace_bytes(const ssim_problem* problem, int train);

/* *mean = mean SSIM (fp64). */
int ssim_row_value(const ssim_problem* problem, const float* x, const float* y, double* mean, void* workspace,
                   void* stream);

/* *mean as above, and grad_x[i] = *weight * d mean / d x[i]; weight is one fp32 in the device's memory. */
int ssim_row_value_and_grad(const ssim_problem* problem, const float* x, const float* y, const float* weight,
                            double* mean, float* grad_x, void* workspace, void* stream);

#ifdef __cplusplus
}
#endif
#endif
