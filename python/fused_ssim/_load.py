# SPDX-License-Identifier: MIT
"""Loads the operator's library, or says what does not fit and what to do: never an undefined symbol."""

from __future__ import annotations

import os

import torch

from ._built_for import BUILD_AGAIN, TORCH

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libfused_ssim_ops.so")


def load() -> None:
    """Registers torch.ops.ssim. ImportError where the library is missing, damaged, or made for another torch.

    LibTorch's C++ interface changes from one version to the next, and between builds of one version (CUDA or not), so
    the whole version string must be the same.
    """
    if str(torch.__version__) != TORCH:
        raise ImportError(
            f"fused_ssim was built for torch {TORCH}, but torch {torch.__version__} is installed in "
            f"{os.path.dirname(torch.__file__)}; build it again with this interpreter: {BUILD_AGAIN}"
        )
    if not os.path.exists(LIBRARY):
        raise ImportError(f"fused_ssim: {LIBRARY} is missing; build it: {BUILD_AGAIN}")
    try:
        torch.ops.load_library(LIBRARY)
    except OSError as error:
        raise ImportError(f"fused_ssim: {LIBRARY} does not load ({error}); build it again: {BUILD_AGAIN}") from error
