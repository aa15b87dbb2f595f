# SPDX-License-Identifier: MIT
"""The systems that `bench.peers` times: the packages themselves, our operator, and our stand-ins, as Python functions.

A system is a function make(mode, padding, x, y) -> call, and call() -> (mean, gradient or None). The published package
has the name of ours, fused_ssim: it is found by file location, loaded under an alias, and counts only if its compiled
half, fused_ssim_cuda, is there. Ours is called as torch.ops.ssim.fused_ssim alone.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
OURS = (ROOT / "build" / "python", ROOT / "python")
ALIAS = "published_fused_ssim"


class Absent(Exception):
    """A system that cannot be had here, and why."""


@dataclass
class System:
    what: str
    make: Callable | None = None
    reason: str = ""  # why it is not measured
    paddings: tuple[str, ...] = ("same", "valid")
    devices: tuple[str, ...] = ("cpu", "cuda")


def version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def published_fused_ssim(path: list[str] | None = None):
    """The published package as a module called ALIAS. Absent says what is missing."""
    if ALIAS in sys.modules:
        return sys.modules[ALIAS]
    found = None
    for entry in sys.path if path is None else path:
        candidate = Path(entry or ".") / "fused_ssim" / "__init__.py"
        if candidate.is_file() and not any(own in candidate.resolve().parents for own in OURS):
            found = candidate
            break
    if found is None:
        raise Absent("the package fused-ssim is not installed")
    compiled = importlib.machinery.PathFinder.find_spec("fused_ssim_cuda", [str(found.parent.parent)])
    compiled = compiled or importlib.util.find_spec("fused_ssim_cuda")
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    if compiled is None or not str(compiled.origin).endswith(suffixes):
        raise Absent(f"{found.parent} has no compiled fused_ssim_cuda beside it")
    if "fused_ssim_cuda" not in sys.modules:
        module = importlib.util.module_from_spec(compiled)
        compiled.loader.exec_module(module)
        sys.modules["fused_ssim_cuda"] = module
    spec = importlib.util.spec_from_file_location(ALIAS, found, submodule_search_locations=[str(found.parent)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[ALIAS] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[ALIAS]
        raise Absent(f"{found.parent} does not load: {type(error).__name__}: {error}") from None
    return module


def our_operator():
    """torch.ops.ssim.fused_ssim of this build."""
    import torch

    library = OURS[0] / "fused_ssim" / "libfused_ssim_ops.so"
    if not hasattr(torch.ops.ssim, "fused_ssim"):
        if not library.exists():
            raise Absent(f"{library.relative_to(ROOT)} was not built")
        torch.ops.load_library(str(library))
    return torch.ops.ssim.fused_ssim


def _with_autograd(function: Callable) -> Callable:
    """make() of a function f(x, y, padding, train) that is differentiable: a leaf whose gradient is None before."""

    def make(mode: str, padding: str, x, y) -> Callable:
        import torch

        leaf = x.detach().clone().requires_grad_(mode == "train")

        def infer():
            with torch.no_grad():
                return function(leaf, y, padding, False), None

        def train():
            leaf.grad = None
            value = function(leaf, y, padding, True)
            value.backward()
            return value.detach(), leaf.grad

        return train if mode == "train" else infer

    return make


def _row(name: str) -> Callable:
    def make(mode: str, padding: str, x, y) -> Callable:
        from bench.compare_package import load, row_call

        return row_call(load(), name, mode == "train", padding, x, y)

    return make


def systems(device: str, path: list[str] | None = None) -> dict[str, System]:
    """All that there are, those that are absent with their reason."""
    found: dict[str, System] = {}

    def add(name: str, what: str, get: Callable[[], Callable], **more) -> None:
        system = System(what, **more)
        try:
            if device not in system.devices:
                raise Absent(f"it does not run on {device}")
            system.make = get()
        except Absent as absent:
            system.reason = str(absent)
        found[name] = system

    def fused():
        module = published_fused_ssim(path)
        return _with_autograd(lambda x, y, padding, train: module.fused_ssim(x, y, padding=padding, train=train))

    def composed():
        try:
            ssim = importlib.import_module("pytorch_msssim").ssim
        except ImportError as error:
            raise Absent(f"the package pytorch-msssim cannot be imported: {error}") from None
        return ssim

    def compiled():
        import torch

        ssim = composed()

        def make(mode: str, padding: str, x, y) -> Callable:
            # Anew for each problem: beyond a few shapes a compiled function runs uncompiled and says nothing.
            torch.compiler.reset()
            function = torch.compile(lambda x, y: ssim(x, y, data_range=1), dynamic=False)
            return _with_autograd(lambda x, y, padding, train: function(x, y))(mode, padding, x, y)

        return make

    def ours():
        operator = our_operator()
        return _with_autograd(lambda x, y, padding, train: operator(x, y, padding, train))

    def plain():
        ssim = composed()
        return _with_autograd(lambda x, y, padding, train: ssim(x, y, data_range=1))

    def windowed():
        ssim = composed()

        def make(mode: str, padding: str, x, y) -> Callable:
            window = importlib.import_module("pytorch_msssim").SSIM(channel=x.shape[1]).win.to(x.device)
            function = _with_autograd(lambda x, y, padding, train: ssim(x, y, data_range=1, win=window))
            return function(mode, padding, x, y)

        return make

    def row(name):
        if not (ROOT / "build" / "baselines" / "libssim_baselines_c.so").exists():
            raise Absent("the baselines were not built")
        return _row(name)

    add("operator", "torch.ops.ssim.fused_ssim of this build", ours)
    add("fused_ssim (package)", f"fused-ssim {version('fused_ssim')}", fused, devices=("cuda",))
    add("pytorch_msssim (package)", f"pytorch-msssim {version('pytorch_msssim')}", plain, paddings=("valid",))
    add("pytorch_msssim with window (package)", "the same, given a window that lies on the device: without, each call "
        "copies one from the host and waits for it", windowed, paddings=("valid",))  # fmt: skip
    add("pytorch_msssim compiled (package)", "the same through torch.compile", compiled, paddings=("valid",))
    add("pytorch_mssim", "our row that repeats its work in LibTorch C++", lambda: row("pytorch_mssim"),
        paddings=("valid",))  # fmt: skip
    add("naive_conv", "our row: the 11x11 convolution in LibTorch C++", lambda: row("naive_conv"))
    return found
