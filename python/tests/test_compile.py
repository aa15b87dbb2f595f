# SPDX-License-Identifier: MIT
"""The operator inside PyTorch's machinery: opcheck, and a graph without a break, forward and backward."""

from __future__ import annotations

import pytest
import torch

from fused_ssim import fused_ssim


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("arguments", [(), ("valid",), ("same", False)])
def test_opcheck(arguments, requires_grad):
    x = torch.rand(1, 2, 16, 18, requires_grad=requires_grad)
    torch.library.opcheck(torch.ops.ssim.fused_ssim.default, (x, torch.rand(1, 2, 16, 18), *arguments))


def test_opcheck_with_grad():
    images = torch.rand(1, 2, 16, 18), torch.rand(1, 2, 16, 18)
    torch.library.opcheck(torch.ops.ssim.fused_ssim_with_grad.default, images)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(dynamic):
    """aot_eager traces as inductor does and needs no compiler at run time."""

    @torch.compile(fullgraph=True, backend="aot_eager", dynamic=dynamic)
    def loss(x, y):
        return 1 - fused_ssim(x * 1.5, y, padding="valid") ** 2

    for size in (20, 24):
        x, y = torch.rand(1, 2, size, 32, requires_grad=True), torch.rand(1, 2, size, 32)
        value = loss(x, y)
        value.backward()
        eager = x.detach().clone().requires_grad_()
        expected = 1 - fused_ssim(eager * 1.5, y, padding="valid") ** 2
        expected.backward()
        assert torch.allclose(value, expected, rtol=0, atol=1e-7)
        assert torch.allclose(x.grad, eager.grad, rtol=1e-6, atol=1e-12)
