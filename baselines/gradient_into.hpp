// SPDX-License-Identifier: MIT
// Autograd that leaves the gradient where the contract wants it, without a copy.
//
// Autograd returns a gradient in memory of its own; the copy from there to grad_x would be 8 bytes an element that no
// training loop pays (there the leaf adopts the tensor). But autograd sums the contributions to a leaf in place, in
// the tensor that arrived first, if nobody else holds it. So the operation whose gradient arrives first, the last one
// that was applied to the leaf, writes its contribution to grad_x. Should another LibTorch sum elsewhere, the row sees
// that the result is not grad_x and copies: slower, never wrong.
#pragma once

#include <ATen/core/Tensor.h>

namespace ssim::baselines {

/// x * y. Its gradient to x is written to grad_x. With grad_x = nullptr it is the plain product.
at::Tensor multiply_into(const at::Tensor& x, const at::Tensor& y, float* grad_x);

/// x with `margin` zeros on each side of the last two dimensions. Its gradient is written to grad_x.
at::Tensor pad_into(const at::Tensor& x, std::int64_t margin, float* grad_x);

}  // namespace ssim::baselines
