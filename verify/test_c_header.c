/* SPDX-License-Identifier: MIT
 * ssim_row.h is C: compiled by a C compiler, and its struct has no padding that another compiler might see otherwise. */
#include <stddef.h>

#include "kernels/ssim_row.h"

_Static_assert(sizeof(ssim_problem) == 48, "four int64, two int32, two float");
_Static_assert(offsetof(ssim_problem, padding) == 32 && offsetof(ssim_problem, c2) == 44, "offsets");

int main(void) {
  ssim_problem problem = {1, 3, 8, 8, SSIM_ROW_SAME, SSIM_ROW_CPU, 1e-4f, 9e-4f};
  int (*value)(const ssim_problem*, const float*, const float*, double*, void*, void*) = 0;
  (void)value;
  return problem.channels == 3 ? 0 : 1;
}
