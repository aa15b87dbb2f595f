# SPDX-License-Identifier: MIT
"""Programs written for the published fused-ssim, and for pytorch-msssim, as python/README.md says they go on here."""

from __future__ import annotations

import re
from pathlib import Path

import coming_from
import pytest
import torch
from coming_from import formula, photo

README = Path(__file__).resolve().parents[1] / "README.md"
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


@pytest.mark.parametrize("device", DEVICES)
def test_the_published_example(device):
    """Its README's loop: a random picture is trained towards a photograph by 1 - SSIM alone."""
    from fused_ssim import fused_ssim

    torch.manual_seed(0)
    gt_image = photo("coffee")[:, :, :64, :64].to(device)
    pred_image = torch.nn.Parameter(torch.rand_like(gt_image))
    with torch.no_grad():
        begin = fused_ssim(pred_image, gt_image, train=False)
    optimizer = torch.optim.Adam([pred_image], lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = 1.0 - fused_ssim(pred_image, gt_image)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        end = fused_ssim(pred_image, gt_image, train=False)
        assert end.item() == pytest.approx(formula(pred_image.double(), gt_image.double(), "same").item(), abs=1e-6)
    assert begin < 0.2 and end > 0.9


@pytest.mark.parametrize("device", DEVICES)
def test_a_splatting_loss(device):
    """0.8 L1 + 0.2 D-SSIM on one picture without a batch, stepped beside the published formula in fp64."""
    from fused_ssim import fused_ssim

    gt_image = photo("chelsea")[0, :, :80, :72].to(device)
    noise = 0.1 * torch.randn(gt_image.shape, generator=torch.Generator().manual_seed(4))
    start = (gt_image + noise.to(device)).clamp(0, 1)

    def train(ssim, dtype) -> list[float]:
        image, gt = start.to(dtype, copy=True).requires_grad_(), gt_image.to(dtype)
        optimizer, losses = torch.optim.SGD([image], lr=50.0), []
        for _ in range(20):
            optimizer.zero_grad()
            l1 = (image - gt).abs().mean()
            loss = 0.8 * l1 + 0.2 * (1.0 - ssim(image.unsqueeze(0), gt.unsqueeze(0)))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    ours = train(fused_ssim, torch.float32)
    theirs = train(lambda x, y: formula(x, y, "same"), torch.float64)
    assert ours == pytest.approx(theirs, abs=2e-6) and ours[-1] < 0.8 * ours[0]


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_with_channels_last(device):
    """[batch, height, width, channels] renderers permute, so that the images are not contiguous."""
    from fused_ssim import fused_ssim

    pixels = photo("coffee").permute(0, 2, 3, 1).contiguous().to(device)
    colors = pixels.roll(1, dims=2).clone().requires_grad_()
    ssimloss = 1.0 - fused_ssim(colors.permute(0, 3, 1, 2), pixels.permute(0, 3, 1, 2), padding="valid")
    ssimloss.backward()
    truth = colors.detach().double().requires_grad_()
    expected = 1.0 - formula(truth.permute(0, 3, 1, 2), pixels.double().permute(0, 3, 1, 2), "valid")
    expected.backward()
    assert ssimloss.item() == pytest.approx(expected.item(), abs=5e-7)
    error = (colors.grad.double() - truth.grad).square().mean().sqrt() / truth.grad.square().mean().sqrt()
    assert error < 1e-4


def test_positions_and_keywords():
    from fused_ssim import allowed_padding, fused_ssim

    x, y = torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 20)
    for padding in allowed_padding:
        values = [
            fused_ssim(x, y, padding),
            fused_ssim(x, y, padding, False),
            fused_ssim(x, y, padding=padding, train=True),
            fused_ssim(img1=x, img2=y, padding=padding, train=False),
        ]
        assert len({value.item() for value in values}) == 1
    assert fused_ssim(x, y).item() == fused_ssim(x, y, "same", True).item()


def test_for_pytorch_msssim():
    package = pytest.importorskip("pytorch_msssim", reason="the package pytorch-msssim is not installed")
    from fused_ssim import fused_ssim

    x, y = 255 * photo("astronaut"), 255 * photo("astronaut").roll(1, dims=2)
    here = fused_ssim(x / 255, y / 255, padding="valid")
    assert here.item() == pytest.approx(package.ssim(x, y).item(), abs=2e-6)


def test_measured_figures_of_the_page():
    """Errors are rounding, which another processor or torch may do otherwise: of the page's size, up to a factor 5."""
    pytest.importorskip("pytorch_msssim", reason="the package pytorch-msssim is not installed")
    told = [line for line in README.read_text().splitlines() if re.match(r"\|.*\d[eE]-", line)]
    found = coming_from.table(coming_from.measure()).splitlines()[2:]
    assert len(told) == len(found) == 8
    for a, b in zip(told, found):
        cells_a, cells_b = ([cell.strip() for cell in line.strip("|").split("|")] for line in (a, b))
        assert cells_a[:3] == cells_b[:3]
        for old, new in zip(map(float, cells_a[3:]), map(float, cells_b[3:])):
            assert new <= 5 * old + 5e-8, (a, b)
