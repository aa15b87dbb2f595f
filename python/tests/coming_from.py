# SPDX-License-Identifier: MIT
"""Measures what changes for programs that come from fused-ssim or pytorch-msssim: the table of python/README.md.

Value and gradient of this package, and of what the other computes in fp32, each against the same formula in fp64.
`fused-ssim` is its formula in torch (five 121-tap convolutions, zero padding; the published kernel runs on CUDA alone);
`pytorch-msssim` is the package where it is importable, which has padding valid only.

Run: ./suite python python/tests/coming_from.py [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Callable, NamedTuple

import torch

from fused_ssim import fused_ssim

PHOTOS = Path(__file__).resolve().parents[2] / "verify" / "photos"


class Row(NamedTuple):
    """Errors against fp64: |value|, and the gradient's RMS over the RMS of the gradient."""

    pictures: str
    other: str
    padding: str
    value: float
    gradient: float
    other_value: float
    other_gradient: float


def formula(x: torch.Tensor, y: torch.Tensor, padding: str) -> torch.Tensor:
    """Mean SSIM as the published package defines it, in the images' own precision, by torch's convolution."""
    channels = x.shape[1]
    taps = torch.exp(-(torch.arange(-5, 6, dtype=torch.float64) ** 2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).to(x)
    window = torch.outer(taps, taps).expand(channels, 1, 11, 11).contiguous()

    def blur(image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(image, window, padding=5, groups=channels)

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    values = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    values = values / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    return (values[:, :, 5:-5, 5:-5] if padding == "valid" else values).mean()


def photo(name: str) -> torch.Tensor:
    """[1, 3, height, width] fp32, 0 to 1, of a photograph of verify/photos."""
    _, size, _, pixels = (PHOTOS / f"{name}.ppm").read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    values = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).reshape(1, height, width, 3)
    return values.permute(0, 3, 1, 2).contiguous().float() / 255


def pictures() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(11)

    def noise(like: torch.Tensor) -> torch.Tensor:
        return torch.rand(like.shape, generator=generator)

    coffee = photo("coffee")
    return {
        "noise against noise": (noise(coffee), noise(coffee)),
        "photograph, noise of 0.05": (coffee, (coffee + 0.1 * (noise(coffee) - 0.5)).clamp(0, 1)),
        "photograph, one pixel aside": (coffee, coffee.roll(1, dims=3)),
        "photograph, nearly equal (0.0005)": (coffee, (coffee + 0.001 * (noise(coffee) - 0.5)).clamp(0, 1)),
    }


def others() -> dict[str, tuple[str, Callable]]:
    """name -> padding, function(x, y)."""
    found = {"fused-ssim": ("same", lambda x, y: formula(x, y, "same"))}
    try:
        from pytorch_msssim import ssim

        found["pytorch-msssim"] = ("valid", lambda x, y: ssim(x, y, data_range=1))
    except ImportError:
        pass
    return found


def with_gradient(function: Callable, x: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor]:
    leaf = x.detach().clone().requires_grad_()
    value = function(leaf, y)
    value.backward()
    return value.item(), leaf.grad.double()


def measure(device: str = "cpu") -> list[Row]:
    torch.backends.cudnn.allow_tf32 = False  # the formula in fp32, not in the 10 bits that tensor cores take
    rows = []
    for other, (padding, function) in others().items():
        for name, images in pictures().items():
            x, y = (image.to(device) for image in images)
            truth, slope = with_gradient(lambda a, b: formula(a, b, padding), x.double(), y.double())
            errors = []
            for candidate in (lambda a, b: fused_ssim(a, b, padding=padding), function):
                value, gradient = with_gradient(candidate, x, y)
                off = (gradient - slope).square().mean() / slope.square().mean()
                errors += [abs(value - truth), off.sqrt().item()]
            rows.append(Row(name, other, padding, *errors))
    return rows


def table(rows: list[Row]) -> str:
    lines = ["| pictures | in place of | padding | value: here | there | gradient: here | there |",
             "|---|---|---|---:|---:|---:|---:|"]
    for row in rows:
        figures = (row.value, row.other_value, row.gradient, row.other_gradient)
        cells = [row.pictures, row.other, row.padding, *(f"{figure:.0e}" for figure in figures)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    print(table(measure(parser.parse_args().device)))
