# SPDX-License-Identifier: MIT
"""Value and gradient at once, for those who know the gradient's weight up front."""

from __future__ import annotations

import torch

_with_tensor = torch.ops.ssim.fused_ssim_with_grad.default
_with_number = torch.ops.ssim.fused_ssim_with_grad.number


def fused_ssim_with_grad(
    img1: torch.Tensor, img2: torch.Tensor, padding: str = "same", weight: float | torch.Tensor = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean SSIM of two image batches, and weight * d mean / d img1, in one pass and outside autograd.

    fused_ssim computes the same gradient in its forward and multiplies it in its backward; this saves that pass, and
    what autograd costs the host:

        value, gradient = fused_ssim_with_grad(predicted.detach(), target, weight=-0.2)
        torch.autograd.backward([other_loss, predicted], [None, gradient])  # of other_loss + 0.2 * (1 - value)

    Args:
        img1, img2, padding: as fused_ssim takes them.
        weight: a number that is finite in float32, or a float32 tensor with one element on the images' device, which
            nobody waits for.

    Returns:
        The mean, a float32 tensor without dimensions (the weight is not in it), and the gradient, contiguous, of the
        shape of img1.

    Raises:
        What fused_ssim raises; ValueError also for a weight that is not finite, not one element or on another device,
        TypeError for its dtype, RuntimeError for what is neither number nor tensor. If an image requires a gradient
        while grad mode is on, differentiating a result raises RuntimeError.
    """
    if isinstance(weight, torch.Tensor):
        return _with_tensor(img1, img2, padding, weight)
    return _with_number(img1, img2, padding, weight)
