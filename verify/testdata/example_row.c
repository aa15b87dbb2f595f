/* SPDX-License-Identifier: MIT
 * A row by kernels/ssim_row.h in plain C, for the CPU: one position at a time, 121 taps, fp64. And, with MISTAKE set,
 * rows that are wrong on purpose, for the test of `./suite check`.
 * Build it yourself: cc -O2 -shared -fPIC -I. verify/testdata/example_row.c -o example.so -lm */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/ssim_row.h"

#define NONE 0
#define ZERO_GRADIENT 1
#define WRONG_BORDER 2
#define WEIGHT_IGNORED 3
#define WRITES_PAST_END 4
#define SPOILS_INPUT 5
#define DIRTY_CONTROL_BLOCK 6
#define NO_GRADIENT_FUNCTION 7
#define ENDS_THE_PROCESS 8 /* where images are wide */

#ifndef MISTAKE
#define MISTAKE NONE
#endif

/* Into the caller's memory: threads may call the row at the same time, so it keeps nothing. */
static void make_taps(double* taps) {
  double sum = 0;
  int k;
  for (k = 0; k < 11; ++k) sum += taps[k] = exp(-(k - 5) * (k - 5) / 4.5);
  for (k = 0; k < 11; ++k) taps[k] /= sum;
}

/* What one position is: its value, and the derivatives to the five moments. */
typedef struct position {
  double value, dx, dxx, dxy;
} position;

static position at(const ssim_problem* p, const double* taps, const float* x, const float* y, int64_t row,
                   int64_t column) {
  double m[5] = {0, 0, 0, 0, 0};
  position out;
  int64_t r, c;
  for (r = row - 5; r <= row + 5; ++r) {
    if (r < 0 || r >= p->height) continue;
    for (c = column - 5; c <= column + 5; ++c) {
      double w, a, b;
      if (c < 0 || c >= p->width - (MISTAKE == WRONG_BORDER)) continue;
      w = taps[r - row + 5] * taps[c - column + 5];
      a = x[r * p->width + c];
      b = y[r * p->width + c];
      m[0] += w * a, m[1] += w * b, m[2] += w * a * a, m[3] += w * b * b, m[4] += w * a * b;
    }
  }
  {
    const double a1 = 2 * m[0] * m[1] + p->c1, b1 = m[0] * m[0] + m[1] * m[1] + p->c1;
    const double a2 = 2 * (m[4] - m[0] * m[1]) + p->c2;
    const double b2 = m[2] - m[0] * m[0] + m[3] - m[1] * m[1] + p->c2;
    out.value = a1 * a2 / (b1 * b2);
    out.dxx = -out.value / b2;
    out.dxy = 2 * a1 / (b1 * b2);
    out.dx = out.value * (2 * m[1] / a1 - 2 * m[1] / a2 - 2 * m[0] / b1 + 2 * m[0] / b2);
  }
  return out;
}

static int counts(const ssim_problem* p, int64_t row, int64_t column) {
  const int64_t margin = p->padding == SSIM_ROW_VALID ? 5 : 0;
  return row >= margin && row < p->height - margin && column >= margin && column < p->width - margin;
}

static double count_of(const ssim_problem* p) {
  const int64_t margin = p->padding == SSIM_ROW_VALID ? 10 : 0;
  return (double)(p->batch * p->channels * (p->height - margin) * (p->width - margin));
}

const char* ssim_row_supports(const ssim_problem* p, int train) {
  (void)train;
  if (p->device != SSIM_ROW_CPU) return "the CPU only";
  return p->batch * p->channels * p->height * p->width > 200000 ? "small images only" : NULL;
}

int64_t ssim_row_workspace_bytes(const ssim_problem* p, int train) {
  return 256 + (train ? 24 * p->height * p->width : 0);
}

static int run(const ssim_problem* p, const float* x, const float* y, const float* weight, double* mean, float* grad_x,
               void* workspace) {
  const int64_t size = p->height * p->width;
  double* field = (double*)((char*)workspace + 256);
  double taps[11], sum = 0;
  int64_t plane, r, c, i, j;
  if (MISTAKE == ENDS_THE_PROCESS && p->width > 100) exit(2);
  make_taps(taps);
  for (plane = 0; plane < p->batch * p->channels; ++plane, x += size, y += size) {
    for (r = 0; r < p->height; ++r) {
      for (c = 0; c < p->width; ++c) {
        position here = {1, 0, 0, 0};
        if (counts(p, r, c)) here = at(p, taps, x, y, r, c);
        sum += 1 - here.value;
        if (!grad_x) continue;
        field[r * p->width + c] = here.dx;
        field[size + r * p->width + c] = here.dxx;
        field[2 * size + r * p->width + c] = here.dxy;
      }
    }
    if (!grad_x) continue;
    for (r = 0; r < p->height; ++r) {
      for (c = 0; c < p->width; ++c) {
        double f[3] = {0, 0, 0};
        for (i = r - 5; i <= r + 5; ++i) {
          for (j = c - 5; j <= c + 5; ++j) {
            double w;
            if (i < 0 || i >= p->height || j < 0 || j >= p->width) continue;
            w = taps[i - r + 5] * taps[j - c + 5];
            f[0] += w * field[i * p->width + j];
            f[1] += w * field[size + i * p->width + j];
            f[2] += w * field[2 * size + i * p->width + j];
          }
        }
        i = r * p->width + c;
        grad_x[i] = (float)((MISTAKE == WEIGHT_IGNORED ? 1.0 : *weight) / count_of(p) *
                            (f[0] + 2 * x[i] * f[1] + y[i] * f[2]));
        if (MISTAKE == ZERO_GRADIENT) grad_x[i] = 0;
      }
    }
    grad_x += size;
  }
  if (MISTAKE == WRITES_PAST_END && grad_x) *grad_x = 0;
  if (MISTAKE == SPOILS_INPUT) ((float*)x)[-1] += 1;
  if (MISTAKE == DIRTY_CONTROL_BLOCK) *(char*)workspace = 1;
  *mean = 1 - sum / count_of(p);
  return 0;
}

int ssim_row_value(const ssim_problem* p, const float* x, const float* y, double* mean, void* workspace, void* stream) {
  (void)stream;
  return run(p, x, y, NULL, mean, NULL, workspace);
}

#if MISTAKE != NO_GRADIENT_FUNCTION
int ssim_row_value_and_grad(const ssim_problem* p, const float* x, const float* y, const float* weight, double* mean,
                            float* grad_x, void* workspace, void* stream) {
  (void)stream;
  return run(p, x, y, weight, mean, grad_x, workspace);
}
#endif
