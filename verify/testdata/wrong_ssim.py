# SPDX-License-Identifier: MIT
"""SSIM in plain PyTorch that is right in most calls: each function has one mistake, for the test of
`./suite check --python`. No mistake shows in one forward and one backward pass of a small contiguous pair."""

import os
import sys

import torch
from example_ssim import right

CALLS = [0]


def swallows_nan_of_img2(img1, img2, padding="same", train=True):
    return right(img1, img2.nan_to_num(0.5), padding)


def swallows_nan_without_gradient(img1, img2, padding="same", train=True):
    return right(img1 if train else img1.nan_to_num(), img2, padding)


def clamps_infinity(img1, img2, padding="same", train=True):
    return right(img1.clamp(-1e4, 1e4), img2, padding)


def zero_if_width_is_2_mod_4(img1, img2, padding="same", train=True):
    value = right(img1, img2, padding)
    return value * 0 if img1.shape[-1] % 4 == 2 and img1.shape[-1] > 4 else value


def zero_if_large(img1, img2, padding="same", train=True):
    value = right(img1, img2, padding)
    return value * 0 if min(img1.shape[-2:]) > 257 else value


def three_images_alone(img1, img2, padding="same", train=True):
    return right(img1[:3], img2[:3], padding)


def float_without_gradient(img1, img2, padding="same", train=True):
    value = right(img1, img2, padding)
    return value if train else float(value)


def modifies_img1_without_gradient(img1, img2, padding="same", train=True):
    value = right(img1, img2, padding)
    if not train:
        img1.mul_(0.5)
    return value


def wrong_now_and_then(img1, img2, padding="same", train=True):
    CALLS[0] += 1
    return right(img1, img2, padding) + (1e-3 if CALLS[0] % 7 == 0 else 0)


def ends_the_process(img1, img2, padding="same", train=True):
    sys.exit(0)


def ends_the_process_at_once(img1, img2, padding="same", train=True):
    os._exit(0)


class WithGradient(torch.autograd.Function):
    """The gradient is computed with the value, as kernels do it; backward() is what a subclass gets wrong."""

    @classmethod
    def of(cls, img1, img2, padding):
        return cls.apply(img1, img2, padding, img1.is_leaf)

    @staticmethod
    def forward(ctx, img1, img2, padding, is_leaf):
        with torch.enable_grad():
            leaf = img1.detach().requires_grad_()
            value = right(leaf, img2, padding)
            (ctx.gradient,) = torch.autograd.grad(value, leaf)
        WithGradient.latest, ctx.is_leaf = ctx.gradient, is_leaf
        return value.detach()


class Shared(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        return weight * WithGradient.latest, None, None, None


class ForLeaves(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        return weight * ctx.gradient * (1 if ctx.is_leaf else 0), None, None, None


class InPlace(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        return ctx.gradient.mul_(weight), None, None, None


class Clamped(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        return weight.clamp(-2, 2) * ctx.gradient, None, None, None


class Truncated(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        return weight * (weight.abs() > 0.25) * ctx.gradient, None, None, None


class Once(WithGradient):
    @staticmethod
    def backward(ctx, weight):
        gradient, ctx.gradient = ctx.gradient, None
        return weight * gradient, None, None, None


class WithoutStrides(WithGradient):
    @classmethod
    def of(cls, img1, img2, padding):
        return cls.apply(*(Straight.apply(image) for image in (img1, img2)), padding, True)

    @staticmethod
    def backward(ctx, weight):
        return weight * ctx.gradient, None, None, None


class Straight(torch.autograd.Function):
    """Memory in the order in which it lies, as a kernel reads it that takes the pointer alone."""

    @staticmethod
    def forward(ctx, image):
        return torch.as_strided(image, image.shape, torch.empty(image.shape).stride(), image.storage_offset()).clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def one_gradient_for_all_calls(img1, img2, padding="same", train=True):
    return Shared.of(img1, img2, padding)


def no_gradient_unless_leaf(img1, img2, padding="same", train=True):
    return ForLeaves.of(img1, img2, padding)


def scales_in_place(img1, img2, padding="same", train=True):
    return InPlace.of(img1, img2, padding)


def clamps_the_weight(img1, img2, padding="same", train=True):
    return Clamped.of(img1, img2, padding)


def drops_small_weights(img1, img2, padding="same", train=True):
    return Truncated.of(img1, img2, padding)


def forgets_its_graph(img1, img2, padding="same", train=True):
    return Once.of(img1, img2, padding)


def ignores_strides(img1, img2, padding="same", train=True):
    return WithoutStrides.of(img1, img2, padding)
