# SPDX-License-Identifier: MIT
"""The row pytorch_mssim against the package itself, where that can be imported; and the stored values made anew.

How long the two take is compared by bench/compare_package.py, which needs a quieter machine than a test can ask for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("pytorch_msssim", reason="the package pytorch-msssim is not installed")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "verify" / "golden")]

import compare_package  # noqa: E402
import make_pytorch_msssim  # noqa: E402

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 11, 11), (2, 3, 37, 53), (1, 3, 128, 96)])
def test_row_is_the_package(shape, train, device):
    torch.manual_seed(3)
    x, y = torch.rand(shape, device=device), torch.rand(shape, device=device)
    library = compare_package.load()
    library.ssim_baseline_settings(1)
    copied = library.ssim_gradients_copied()
    mean, gradient = compare_package.row_call(library, "pytorch_mssim", train, "valid", x, y)()
    value, expected = compare_package.package_call(train, x, y)()
    assert mean.item() == pytest.approx(value.item(), abs=1e-7)
    if train:
        error = (gradient - expected).abs().max() / expected.square().mean().sqrt()
        assert error < 1e-5
    assert library.ssim_gradients_copied() == copied


def test_what_the_row_refuses():
    x = torch.rand(1, 1, 16, 16)
    with pytest.raises(RuntimeError, match="pytorch-msssim has no padding `same`"):
        compare_package.row_call(compare_package.load(), "pytorch_mssim", False, "same", x, x)()


def test_stored_values_are_the_packages():
    """The same package on another processor: equal to its own rounding, not bitwise."""
    stored = json.loads((ROOT / "verify" / "golden" / "pytorch_msssim.json").read_text())
    made = make_pytorch_msssim.make()
    assert stored["pytorch_msssim"] == made["pytorch_msssim"]
    assert len(stored["cases"]) == len(made["cases"]) > 0
    for old, new in zip(stored["cases"], made["cases"]):
        for name in ("shape", "kind", "x_first_last", "y_first_last"):
            assert old[name] == new[name]
        assert new["value_fp64"] == pytest.approx(old["value_fp64"], abs=1e-12)
        assert new["value_fp32"] == pytest.approx(old["value_fp32"], abs=5e-7)
        for kind, allowed in (("fp64", 1e-9), ("fp32", 5e-5)):
            a, b = (torch.tensor(case[f"gradient_{kind}"], dtype=torch.float64) for case in (new, old))
            assert (a - b).abs().max() <= allowed * b.square().mean().sqrt()
