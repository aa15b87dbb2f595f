# SPDX-License-Identifier: MIT
"""SSIM in plain PyTorch, right and wrong on purpose: for the test of `./suite check --python`."""

import torch
import torch.nn.functional as F


def _window(dtype):
    taps = torch.exp(-(torch.arange(11, dtype=torch.float64) - 5) ** 2 / 4.5)
    taps = taps / taps.sum()
    return torch.outer(taps, taps).to(dtype)


def right(img1, img2, padding="same", train=True):
    # fp64 inside: in fp32, 121 taps lose more on flat images than the published kernels do.
    x, y = img1.double(), img2.double()
    channels = x.shape[1]
    window = _window(x.dtype).to(x.device).expand(channels, 1, 11, 11)

    def mean(image):
        return F.conv2d(image, window, padding=5 if padding == "same" else 0, groups=channels)

    mx, my = mean(x), mean(y)
    xx, yy, xy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mx * my + c1) * (2 * xy + c2) / ((mx * mx + my * my + c1) * (xx + yy + c2))
    return ssim.mean().to(img1.dtype)


def valid_only(img1, img2):
    return right(img1, img2, "valid")


def of_bytes(img1, img2, data_range=255):
    return right(img1 / data_range, img2 / data_range)


def no_gradient(img1, img2):
    return right(img1, img2, "valid").detach() + 0 * img1.sum()


def wrong_constant(img1, img2):
    return 0.5 + 0.5 * right(img1, img2, "valid")


def not_a_scalar(img1, img2):
    return right(img1, img2, "valid").reshape(1)


def modifies_its_input(img1, img2):
    value = right(img1, img2, "valid")
    img2.mul_(0.5)
    return value


def swallows_nan(img1, img2):
    return right(img1.nan_to_num(), img2, "valid")


def raises(img1, img2):
    raise ValueError("not today")


NUMBER = 7
