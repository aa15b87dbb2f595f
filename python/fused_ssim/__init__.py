# SPDX-License-Identifier: MIT
"""Fused differentiable SSIM: the mean structural similarity of two image batches, and its gradient to the first.

Written for the interface of the published package of the same name:

    from fused_ssim import fused_ssim
    loss = 1 - fused_ssim(predicted, target)                 # predicted requires a gradient
    with torch.no_grad():
        score = fused_ssim(predicted, target, train=False)   # keeps nothing for a backward
    score = fused_ssim(predicted, target, padding="valid")

fused_ssim_with_grad gives value and gradient at once. Both are also operators, torch.ops.ssim.*.
"""

from __future__ import annotations

from pathlib import Path

import torch

from ._built_for import TORCH as _TORCH
from ._built_for import VERSION as __version__

__all__ = ["allowed_padding", "fused_ssim", "fused_ssim_with_grad"]

allowed_padding = ["same", "valid"]


def _load() -> None:
    library = Path(__file__).resolve().parent / "libfused_ssim_ops.so"
    if torch.__version__ != _TORCH:
        raise ImportError(
            f"fused_ssim was built for torch {_TORCH}, but torch {torch.__version__} is installed in "
            f"{Path(torch.__file__).parent}; build it again with this interpreter: ./suite build"
        )
    if not library.exists():
        raise ImportError(f"fused_ssim: {library} is missing; build it: ./suite build")
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        raise ImportError(f"fused_ssim: {library} does not load ({error}); build it again: ./suite build") from error


_load()
from ._with_grad import fused_ssim_with_grad  # noqa: E402: its operators must have been loaded

_fused_ssim = torch.ops.ssim.fused_ssim.default


def fused_ssim(img1: torch.Tensor, img2: torch.Tensor, padding: str = "same", train: bool = True) -> torch.Tensor:
    """Mean SSIM of two image batches (11x11 Gaussian window, sigma 1.5, data range 1).

    Args:
        img1: float32, [batch, channels, height, width], on the CPU or a CUDA device, values in [0, 1]. It gets the
            gradient.
        img2: the same shape, dtype and device. Must not require a gradient while grad mode is on.
        padding: "same": images are zero outside, every position counts. "valid": only positions whose window lies
            inside count; height and width must be at least 11.
        train: False keeps nothing for a backward, and the result has no gradient.

    Returns:
        A float32 tensor without dimensions, on the images' device.

    Images that are not contiguous are copied. Under autocast other floating dtypes are taken and computed in float32.
    On CUDA the work is put on the current stream; nothing waits for it.

    Raises:
        ValueError: shape, device or padding; TypeError: dtype; RuntimeError: img2 requires a gradient;
        NotImplementedError: a second derivative, a forward-mode derivative, or a device that this build has no code
            for. Each names the argument, what it is, and what is allowed.
    """
    return _fused_ssim(img1, img2, padding, train)
