# SPDX-License-Identifier: MIT
"""SSIM in fp64 on PyTorch tensors, and whether what a system of `bench.peers` gives agrees with it."""

from __future__ import annotations

# The packages compute E[x^2] - mu^2 in fp32, and this shall find wrong formulas, windows and gradients, not rounding.
MEAN = 1e-4
GRADIENT = 1e-2  # of the gradient's RMS, for its worst element


def ssim(x, y, padding: str) -> tuple[float, object]:
    """Mean over all planes of x and y (BxCxHxW, in [0, 1]), and its gradient to x in fp32, on the device of x.

    Plane by plane: all maps of 16x3x1080x1920 at once would take tens of gigabytes.
    """
    import torch
    import torch.nn.functional as F

    taps = torch.exp(-((torch.arange(11, dtype=torch.float64, device=x.device) - 5) ** 2) / (2 * 1.5**2))
    taps = (taps / taps.sum()).view(1, 1, 1, 11)
    margin = 5 if padding == "same" else 0

    def blur(image):
        return F.conv2d(F.conv2d(image, taps, padding=(0, margin)), taps.mT, padding=(margin, 0))

    gradient, total = torch.empty_like(x), 0.0
    planes = x.shape[0] * x.shape[1]
    where = gradient.view(planes, *x.shape[2:])
    for a32, b32, out in zip(x.view_as(where), y.view_as(where), where):
        a, b = a32.double()[None, None].requires_grad_(), b32.double()[None, None]
        m1, m2 = blur(a), blur(b)
        s11, s22, s12 = blur(a * a) - m1 * m1, blur(b * b) - m2 * m2, blur(a * b) - m1 * m2
        ratio = (2 * m1 * m2 + 1e-4) * (2 * s12 + 9e-4) / ((m1 * m1 + m2 * m2 + 1e-4) * (s11 + s22 + 9e-4))
        value = ratio.mean()
        out.copy_(torch.autograd.grad(value, a)[0][0, 0] / planes)
        total += float(value.detach())
    return total / planes, gradient


def wrong(mode: str, found: tuple, wanted: tuple) -> str:
    """What is wrong with the (mean, gradient) that a call gave, or "". In inference no gradient is asked for."""
    mean, gradient = float(found[0]), found[1]
    if not abs(mean - wanted[0]) <= MEAN:
        return f"its mean is {mean:.9g}, in fp64 it is {wanted[0]:.9g}"
    if mode == "infer":
        return ""
    if gradient is None:
        return "it leaves no gradient"
    if gradient.shape != wanted[1].shape:
        return f"its gradient has the shape {tuple(gradient.shape)}"
    error = float((gradient - wanted[1]).abs().max() / wanted[1].square().mean().sqrt())
    if not error <= GRADIENT:
        return f"its gradient is off by {error:.3g} of its RMS at the worst element, allowed is {GRADIENT:g}"
    return ""
