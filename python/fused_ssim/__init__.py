# SPDX-License-Identifier: MIT
"""Fused differentiable SSIM: the mean structural similarity of two image batches, and its gradient to the first.

Written for the interface of the published package of the same name:

    from fused_ssim import fused_ssim
    loss = 1 - fused_ssim(predicted, target)                 # predicted requires a gradient
    with torch.no_grad():
        score = fused_ssim(predicted, target, train=False)   # keeps nothing for a backward
    score = fused_ssim(predicted, target, padding="valid")

fused_ssim_with_grad gives value and gradient at once. Both are also operators, torch.ops.ssim.*. explain(shape) tells
which row would run, and why.
"""

from __future__ import annotations

import torch

from ._built_for import VERSION as __version__
from ._explain import Explanation, explain
from ._load import load as _load

__all__ = ["Explanation", "__version__", "allowed_padding", "explain", "fused_ssim", "fused_ssim_with_grad"]

allowed_padding = ["same", "valid"]

_load()
from ._with_grad import fused_ssim_with_grad  # noqa: E402: its operators must have been loaded

_fused_ssim = torch.ops.ssim.fused_ssim.default


def fused_ssim(img1: torch.Tensor, img2: torch.Tensor, padding: str = "same", train: bool = True) -> torch.Tensor:
    """Mean SSIM of two image batches (11x11 Gaussian window, sigma 1.5, data range 1).

    Args:
        img1: float32, [batch, channels, height, width], on the CPU or a CUDA device, values in [0, 1] (finite ones
            up to 1e12 are right too, but slower; beyond, the result is right or NaN). It gets the gradient.
        img2: the same shape, dtype and device. Must not require a gradient while grad mode is on.
        padding: "same": images are zero outside, every position counts. "valid": only positions whose window lies
            inside count; height and width must be at least 11.
        train: False keeps nothing for a backward, and the result has no gradient.

    Returns:
        A float32 tensor without dimensions, on the images' device.

    Images that are not contiguous are copied. Under autocast float16 and bfloat16 are taken and computed in float32.
    On CUDA the work is put on the current stream; nothing waits for it.

    Raises:
        ValueError: shape, device or padding.
        TypeError: dtype.
        RuntimeError: img2 requires a gradient, or an argument is no tensor.
        NotImplementedError: a second derivative, a forward-mode derivative, or a device that this build has no code
            for.
        Each names the argument, what it is, and what is allowed.
    """
    return _fused_ssim(img1, img2, padding, train)
