# SPDX-License-Identifier: MIT
"""The package itself: interface, versions, and what an import says when something does not fit."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import typing
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


def test_type_hints_and_docstrings():
    """py.typed promises annotations: each public function has all of its own, and says what it does."""
    assert (FOLDER / "py.typed").exists()
    for name in fused_ssim.__all__:
        thing = getattr(fused_ssim, name)
        if inspect.isfunction(thing):
            hints = typing.get_type_hints(thing)
            assert set(hints) == {*inspect.signature(thing).parameters, "return"}, name
            assert "Args:" in thing.__doc__ and "Raises:" in thing.__doc__, name


def test_import_time():
    """Over `import torch`, in a fresh process: the best of five, for the machine may be busy with something else."""
    program = "import time, torch; t = time.perf_counter(); import fused_ssim; print(time.perf_counter() - t)"
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    seconds = [
        float(subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.050


def test_explain_names_the_row_that_runs():
    found = fused_ssim.explain((1, 3, 64, 64))
    assert found.row == "stream" and found.why
    assert set(found.others) == {"reference"} and "production never takes it" in found.others["reference"]
    assert "kernels/selection_table.hpp (cpu, train, same" in found.why
    assert str(found).startswith("stream runs: ") and "\n  not reference: " in str(found)


@pytest.mark.parametrize("shape", [(1, 3, 5, 64), (1, 0, 64, 64)])
def test_explain_says_what_the_call_says(shape):
    found = fused_ssim.explain(shape, padding="valid", train=False)
    assert found.row is None
    images = torch.rand(shape), torch.rand(shape)
    with pytest.raises(ValueError):
        fused_ssim.fused_ssim(*images, padding="valid")
    assert str(min(shape)) in found.why


def test_explain_without_a_card():
    if torch.cuda.is_available():
        assert fused_ssim.explain((1, 3, 64, 64), device=torch.device("cuda:0")).row
    else:
        found = fused_ssim.explain((1, 3, 64, 64), device="cuda")
        assert found.row is None and "CUDA" in found.why


@pytest.mark.parametrize(
    "arguments, message",
    [
        (((3, 64, 64),), r"shape is \(3, 64, 64\); it must have 4 sizes"),
        (((1, 3, 64.5, 64),), r"shape is \(1, 3, 64.5, 64\); it must be 4 integers"),
        (("1364",), "shape is '1364'; it must be 4 integers"),
        ((64,), "shape is 64; it must be 4 integers"),
        (((1, 3, 2**70, 64),), r"its sizes must be below 2\^63"),
        (((1, 3, 64, 64), "full"), 'padding is "full"; it must be "same" or "valid"'),
        (((1, 3, 64, 64), "same", True, "mps"), 'device is "mps"; it must be "cpu" or "cuda"'),
    ],
)
def test_explain_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fused_ssim.explain(*arguments)


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
