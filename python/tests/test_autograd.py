# SPDX-License-Identifier: MIT
"""Training through the operator: against the fp64 formula differentiated by PyTorch, in larger graphs, by descent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fused_ssim import fused_ssim, fused_ssim_with_grad

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
devices = pytest.mark.parametrize("device", DEVICES)
paddings = pytest.mark.parametrize("padding", ["same", "valid"])
PHOTO = Path(__file__).resolve().parents[2] / "verify" / "photos" / "astronaut.ppm"


def images(*shape: int, device: str = "cpu", seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, generator=generator)
    return x.to(device), (0.7 * x + 0.3 * torch.rand(*shape, generator=generator)).to(device)


def oracle(x: torch.Tensor, y: torch.Tensor, padding: str = "same") -> torch.Tensor:
    """The published formula in fp64 with the window as one 11x11 matrix; differentiable."""
    taps = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2)).to(x.device)
    window = torch.outer(taps, taps) / taps.sum() ** 2

    def blur(image: torch.Tensor) -> torch.Tensor:
        planes = image.reshape(-1, 1, *image.shape[2:])
        return F.conv2d(planes, window[None, None], padding=5 if padding == "same" else 0)

    x, y = x.double(), y.double()
    m1, m2 = blur(x), blur(y)
    s11, s22, s12 = blur(x * x) - m1 * m1, blur(y * y) - m2 * m2, blur(x * y) - m1 * m2
    return ((2 * m1 * m2 + 1e-4) * (2 * s12 + 9e-4) / ((m1 * m1 + m2 * m2 + 1e-4) * (s11 + s22 + 9e-4))).mean()


def gradient_of(loss, x: torch.Tensor) -> torch.Tensor:
    leaf = x.detach().clone().requires_grad_()
    loss(leaf).backward()
    return leaf.grad


def assert_gradient(gradient: torch.Tensor, expected: torch.Tensor, units: float = 2e-5) -> None:
    """Largest error in units of the gradient's RMS; 2e-5 is the accuracy table's line for textured images."""
    error = (gradient.double() - expected).abs().max() / expected.square().mean().sqrt()
    assert error < units, f"gradient off by {error:.2e} of its RMS"


@devices
@paddings
def test_oracle_against_central_differences(padding, device):
    x, y = images(1, 1, 12, 11, device=device)
    assert torch.autograd.gradcheck(lambda t: oracle(t, y, padding), x.double().requires_grad_(), nondet_tol=1e-12)


@devices
@paddings
def test_directional_differences(padding, device):
    """Through the operator's own value, along the gradient: one that is zero or of the wrong size cannot pass."""
    x, y = images(2, 2, 40, 40, device=device)
    gradient = gradient_of(lambda t: fused_ssim(t, y, padding), x).double()
    direction = gradient / gradient.norm()
    step = 0.02 / gradient.norm()  # the value moves by 0.04, fp32 resolves 6e-8 of it
    ahead, behind = (fused_ssim((x + sign * step * direction).float(), y, padding).double() for sign in (1, -1))
    assert ((ahead - behind) / (2 * step)).item() == pytest.approx(gradient.norm().item(), rel=0.02)


@devices
@paddings
def test_random_factors(padding, device):
    x, y = images(1, 3, 30, 34, device=device)
    expected = gradient_of(lambda t: oracle(t, y, padding), x.double())
    for factor in torch.randn(8, generator=torch.Generator().manual_seed(3)).tolist() + [0.0, -1.0, 1e-6, 1e6]:
        for weight in (factor, torch.tensor(factor, device=device)):
            gradient = gradient_of(lambda t: weight * fused_ssim(t, y, padding), x)
            value, direct = fused_ssim_with_grad(x, y, padding, weight)
            assert value.item() == pytest.approx(fused_ssim(x, y, padding).item(), abs=1e-7)
            if factor == 0:
                assert not gradient.any() and not direct.any()
            else:
                assert_gradient(gradient, factor * expected)
                assert_gradient(direct, factor * expected)


@devices
@paddings
def test_inside_a_larger_graph(padding, device):
    """The loss of Gaussian splatting, of an image that is computed."""
    x, y = images(1, 3, 32, 48, device=device)

    def loss(ssim):
        return lambda t: (lambda p: 0.8 * (p - y).abs().mean() + 0.2 * (1 - ssim(p, y, padding)))(t * t + 0.1 * t)

    assert_gradient(gradient_of(loss(fused_ssim), x), gradient_of(loss(oracle), x.double()))


@devices
def test_one_image_in_several_terms(device):
    x, y = images(1, 2, 24, 24, device=device)
    z = y.flip(3)

    def loss(ssim):
        return lambda t: ssim(t, y) + 2 * ssim(t, z, "valid") - 0.5 * ssim(t, y) ** 2

    assert_gradient(gradient_of(loss(fused_ssim), x), gradient_of(loss(oracle), x.double()))


@devices
@paddings
def test_image_against_itself(padding, device):
    x, _ = images(1, 3, 24, 30, device=device)
    leaf = x.clone().requires_grad_()
    value = fused_ssim(leaf, leaf.detach(), padding)
    value.backward()
    assert value.item() == 1
    assert leaf.grad.abs().max() * x.numel() < 1e-3  # at a maximum; 3.4 is usual elsewhere


@devices
def test_retained_graph_gives_the_same_again(device):
    x, y = images(1, 2, 24, 24, device=device)
    leaf = x.clone().requires_grad_()
    loss = 1 - fused_ssim(leaf, y)
    gradients = [torch.autograd.grad(loss, leaf, retain_graph=keep)[0] for keep in (True, True, False)]
    expected = gradient_of(lambda t: 1 - fused_ssim(t, y), x)
    assert all(torch.equal(g, expected) for g in gradients)
    assert len({g.data_ptr() for g in gradients}) == 3  # each is the caller's own


@devices
def test_factor_that_is_no_plain_memory(device):
    """Views that only say that they are negated or zero."""
    x, y = images(1, 1, 20, 20, device=device)
    leaf = x.clone().requires_grad_()
    one = gradient_of(lambda t: fused_ssim(t, y), x)
    for factor, expected in [
        (torch._neg_view(torch.tensor(2.0, device=device)), -2.0),
        (torch._efficientzerotensor((), device=device), 0.0),
        (torch.tensor([3.0], device=device).expand(4)[0], 3.0),
    ]:
        (gradient,) = torch.autograd.grad(fused_ssim(leaf, y), leaf, factor)
        assert torch.equal(gradient, one * expected)


@devices
def test_gradient_can_be_changed_in_place(device):
    """As clipping does; the next step does not see it."""
    x, y = images(1, 1, 20, 20, device=device)
    leaf = x.clone().requires_grad_()
    fused_ssim(leaf, y).backward()
    first = leaf.grad.clone()
    leaf.grad.mul_(100)
    leaf.grad = None
    fused_ssim(leaf, y).backward()
    assert torch.equal(leaf.grad, first)


@devices
def test_with_grad_beside_autograd(device):
    """The documented use: the gradient of one term is known, autograd does the rest."""
    x, y = images(1, 3, 24, 24, device=device)
    leaf = x.clone().requires_grad_()
    predicted = torch.sigmoid(leaf)
    value, gradient = fused_ssim_with_grad(predicted.detach(), y, weight=-0.2)
    other = 0.8 * (predicted - y).abs().mean()
    torch.autograd.backward([other, predicted], [None, gradient])

    def whole(t: torch.Tensor) -> torch.Tensor:
        p = torch.sigmoid(t)
        return 0.8 * (p - y).abs().mean() + 0.2 * (1 - fused_ssim(p, y))

    torch.testing.assert_close(leaf.grad, gradient_of(whole, x), rtol=1e-5, atol=1e-9)
    assert not value.requires_grad and not gradient.requires_grad


@devices
def test_with_grad_refuses(device):
    x, y = images(1, 1, 16, 16, device=device)
    for weight, error, message in [
        (torch.tensor(1.0, dtype=torch.float64, device=device), TypeError, "weight has dtype Double; it must be Float"),
        (torch.ones(2, device=device), ValueError, "weight has shape [2]; it must have one element"),
        (torch.ones((), device="meta"), ValueError, "weight is on device meta and img1 on device"),
        (float("nan"), ValueError, "weight is nan; it must be finite in fp32"),
        (1e40, ValueError, "weight is 1e+40; it must be finite in fp32"),
        ("much", RuntimeError, "weight"),
    ]:
        with pytest.raises(error) as raised:
            fused_ssim_with_grad(x, y, "same", weight)
        assert message in str(raised.value)


# --- descent --------------------------------------------------------------------------------------------------------


def photograph(device: str) -> torch.Tensor:
    raw = PHOTO.read_bytes()
    magic, width, height, most = raw.split(maxsplit=4)[:4]
    assert magic == b"P6" and most == b"255"
    pixels = np.frombuffer(raw[-3 * int(width) * int(height) :], np.uint8).reshape(int(height), int(width), 3)
    crop = torch.from_numpy(pixels[40:104, 60:124].copy()).permute(2, 0, 1)[None]
    return (crop.float() / 255).contiguous().to(device)


@devices
@paddings
def test_descent_from_noise_to_a_photograph(padding, device):
    target = photograph(device)
    x = torch.rand(target.shape, generator=torch.Generator().manual_seed(5)).to(device).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    for step in range(1500):
        optimizer.zero_grad()
        loss = 1 - fused_ssim(x, target, padding)
        loss.backward()
        optimizer.step()
        if step % 50 == 0 and loss.item() < 5e-4:
            break
    assert oracle(x.detach(), target, padding).item() > 0.999


@devices
@paddings
def test_descent_follows_the_oracle(padding, device):
    """20 steps downhill from noise, in fp32 by the operator and in fp64 by the formula."""
    target = photograph(device)
    start = torch.rand(target.shape, generator=torch.Generator().manual_seed(5)).to(device)
    x, exact = start.clone().requires_grad_(), start.double().requires_grad_()
    for _ in range(20):
        value, exact_value = fused_ssim(x, target, padding), oracle(exact, target, padding)
        assert value.item() == pytest.approx(exact_value.item(), abs=1e-6)
        for image, result in ((x, value), (exact, exact_value)):
            (gradient,) = torch.autograd.grad(result, image)
            with torch.no_grad():
                image += 30 * gradient  # small enough for rounding not to grow
    moved = (exact - start).abs().max()
    assert moved > 0.05 and (x - exact).abs().max() < 1e-5 * moved
