# SPDX-License-Identifier: MIT
"""The package itself: interface, versions, and what an import says when something does not fit."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fused_ssim

FOLDER = Path(fused_ssim.__file__).resolve().parent


def test_interface_is_the_published_one():
    parameters = inspect.signature(fused_ssim.fused_ssim).parameters
    assert list(parameters) == ["img1", "img2", "padding", "train"]
    assert parameters["padding"].default == "same" and parameters["train"].default is True
    assert fused_ssim.allowed_padding == ["same", "valid"]


def test_versions():
    from fused_ssim import _built_for

    assert _built_for.TORCH == torch.__version__
    assert fused_ssim.__version__ == _built_for.VERSION


def test_schemas():
    assert str(torch.ops.ssim.fused_ssim.default._schema) == (
        'ssim::fused_ssim(Tensor img1, Tensor img2, str padding="same", bool train=True) -> Tensor'
    )
    assert str(torch.ops.ssim.fused_ssim_with_grad.default._schema) == (
        'ssim::fused_ssim_with_grad(Tensor img1, Tensor img2, str padding="same", Tensor? weight=None) -> '
        "(Tensor, Tensor)"
    )
    assert str(torch.ops.ssim.fused_ssim_with_grad.number._schema) == (
        "ssim::fused_ssim_with_grad.number(Tensor img1, Tensor img2, str padding, float weight) -> (Tensor, Tensor)"
    )


def import_from(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", "import fused_ssim"], cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True,
        text=True, timeout=300,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "fused_ssim", ignore=shutil.ignore_patterns("*.p", "__pycache__", "*.symbols"))
    return tmp_path


def test_another_torch(copy):
    built_for = copy / "fused_ssim" / "_built_for.py"
    built_for.write_text(built_for.read_text().replace(torch.__version__, "1.2.3+other"))
    done = import_from(copy)
    assert done.returncode == 1
    assert f"ImportError: fused_ssim was built for torch 1.2.3+other, but torch {torch.__version__}" in done.stderr


def test_missing_library(copy):
    (copy / "fused_ssim" / "libfused_ssim_ops.so").unlink()
    done = import_from(copy)
    assert done.returncode == 1 and "libfused_ssim_ops.so is missing; build it: ./suite build" in done.stderr


def test_damaged_library(copy):
    (copy / "fused_ssim" / "libfused_ssim_ops.so").write_bytes(b"no library")
    done = import_from(copy)
    assert done.returncode == 1 and "does not load" in done.stderr


def test_symbols_stay_inside():
    """Only what LibTorch's registration needs by name may be seen from outside: nothing of the kernels."""
    nm = shutil.which("nm")
    if not nm:
        pytest.skip("no nm")
    listing = subprocess.run([nm, "-DC", "--defined-only", str(FOLDER / "libfused_ssim_ops.so")], capture_output=True,
                             text=True, check=True).stdout
    assert [line for line in listing.splitlines() if " ssim::" in line] == []
