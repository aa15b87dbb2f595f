# SPDX-License-Identifier: MIT
"""Writes pytorch_msssim.json: what the package pytorch-msssim 1.0.0 gives, value and gradient, in fp32 and fp64.

    pip install pytorch-msssim==1.0.0 torch==2.11.0
    python verify/golden/make_pytorch_msssim.py > verify/golden/pytorch_msssim.json

The images are computed, not stored: multiples of 2^-24 from an integer hash, so that every language gets the same bits;
and crops of the photographs, degraded as in make_skimage.py.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any

import make_skimage
import pytorch_msssim
import torch

SHAPES = [(1, 1, 11, 11), (2, 3, 13, 17), (1, 1, 32, 27)]
KINDS = ["noise", "blend"]
CROP = (1, 3, 12, 13)
CROPS = ["photo astronaut steps", "photo chelsea shift", "photo coffee darker"]


def noise(count: int, seed: int) -> torch.Tensor:
    """Element i: the upper 24 of the lower 32 bits of (i + seed) * 2654435761 * (i + 97), over 2^24."""
    i = torch.arange(count, dtype=torch.int64)
    hashed = ((i + seed) * 2654435761 % 2**32) * (i + 97) % 2**32
    return (hashed >> 8).to(torch.float64) / 2**24


def images(shape: tuple[int, ...], kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """x, and y = noise of its own, or 3/4 x + 1/4 noise (rounded to fp32 once), both in fp32. Or the middle of a
    photograph, and of the photograph degraded."""
    if kind.startswith("photo "):
        _, name, how = kind.split()
        photo = make_skimage.read_ppm(name)
        row, column = photo.shape[1] // 2, photo.shape[2] // 2
        both = (photo, make_skimage.DEGRADATIONS[how](photo))
        rows, columns = slice(row, row + shape[2]), slice(column, column + shape[3])
        return tuple(torch.from_numpy(v[None, :, rows, columns].copy()) for v in both)
    count = torch.Size(shape).numel()
    x, other = noise(count, 1), noise(count, 1_000_003)
    y = other if kind == "noise" else 0.75 * x + 0.25 * other
    return x.float().reshape(shape), y.float().reshape(shape)


def package(x: torch.Tensor, y: torch.Tensor, dtype: torch.dtype) -> tuple[float, list[float]]:
    leaf = x.detach().to(dtype, copy=True).requires_grad_()
    value = pytorch_msssim.ssim(leaf, y.to(dtype), data_range=1)
    value.backward()
    return value.item(), leaf.grad.flatten().tolist()


def make() -> dict[str, Any]:
    torch.set_num_threads(1)
    cases = []
    for shape, kinds in [*((s, KINDS) for s in SHAPES), (CROP, CROPS)]:
        for kind in kinds:
            x, y = images(shape, kind)
            value32, grad32 = package(x, y, torch.float32)
            value64, grad64 = package(x, y, torch.float64)
            cases.append({
                "shape": list(shape),
                "kind": kind,
                "x_first_last": [x.flatten()[0].item(), x.flatten()[-1].item()],
                "y_first_last": [y.flatten()[0].item(), y.flatten()[-1].item()],
                "value_fp32": value32,
                "value_fp64": value64,
                "gradient_fp32": [float(f"{g:.9g}") for g in grad32],
                "gradient_fp64": [float(f"{g:.12g}") for g in grad64],
            })
    return {
        "made_by": "python verify/golden/make_pytorch_msssim.py",
        "pytorch_msssim": version("pytorch-msssim"),
        "torch": torch.__version__.split("+")[0],
        "call": "ssim(x, y, data_range=1)",
        "cases": cases,
    }


if __name__ == "__main__":
    json.dump(make(), sys.stdout, separators=(",", ":"))
    print()
