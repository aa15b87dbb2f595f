# SPDX-License-Identifier: MIT
"""What `meson install` puts, and one consumer of each kind, built and run: pkg-config, CMake, Meson subproject.

All print the same two numbers, which are held against the fp64 map of pictures/ and the Python package's tests' rule
for gradients: equal among themselves. The operator's consumers are compiled with LibTorch's headers, which takes most
of the time; the subproject compiles the CPU rows once more, without CUDA or torch.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pictures.ssim64 import interior, ssim_map

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CONSUMERS = ROOT / "cpp" / "consumers"
MESON = [sys.executable, "-m", "mesonbuild.mesonmain"]
CXX = shlex.split(os.environ.get("CXX", "c++"))
HAVE_OPERATOR = (BUILD / "cpp" / "libfused_ssim_torch.so").exists()


def run(command: list, **kwargs) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=500, **kwargs)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


def expected() -> float:
    i = np.arange(2 * 3 * 40 * 50)
    x, y = ((i * step % 256 / 255).reshape(6, 40, 50) for step in (37, 11))
    return float(np.mean([interior(ssim_map(a, b)) for a, b in zip(x, y)]))


def check(program: Path, **kwargs) -> None:
    mean, squares = map(float, run([program], **kwargs).split())
    assert mean == pytest.approx(expected(), abs=1e-6)
    assert squares == pytest.approx(SQUARES, rel=1e-5)


# The sum of squares of d mean / d x in fp64, by autograd through pytorch-msssim 1.0.0 in double precision.
SQUARES = 1.0919714316460914e-3


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> Path:
    """An installation, moved after the fact: nothing in it may know where it was to go."""
    folder = tmp_path_factory.mktemp("install")
    run([*MESON, "install", "-C", BUILD, "--no-rebuild", "--destdir", folder])
    pc = next(folder.rglob("fused_ssim.pc"))
    assert pc.parent.name == "pkgconfig"
    root = next(p.parent for p in folder.rglob("include"))
    moved = folder / "moved"
    root.rename(moved)
    return moved


def library(prefix: Path, name: str) -> Path:
    return next(p for p in prefix.rglob(f"{name}.so"))


def test_what_is_installed(prefix):
    files = {re.sub(r"^lib/[^/]+-linux-gnu/|^lib64/", "lib/", str(p.relative_to(prefix)))
             for p in prefix.rglob("*") if not p.is_dir()}
    wanted = {"include/fused_ssim/ssim.hpp", "include/fused_ssim/explain.hpp", "lib/pkgconfig/fused_ssim.pc",
              "lib/cmake/fused_ssim/fused_ssim-config.cmake", "lib/cmake/fused_ssim/fused_ssim-config-version.cmake",
              "lib/libfused_ssim.so"}
    operator = {"include/fused_ssim/fused_ssim.hpp", "lib/pkgconfig/fused_ssim_torch.pc", "lib/libfused_ssim_torch.so"}
    wanted |= operator if HAVE_OPERATOR else set()
    names = {re.sub(r"(\.\d+)+$", "", f) for f in files}
    assert names == wanted


def test_kernel_library_needs_no_torch(prefix):
    readelf = shutil.which("readelf")
    if not readelf:
        pytest.skip("no readelf")
    needed = re.findall(r"NEEDED.*\[(.+)\]", run([readelf, "-d", library(prefix, "libfused_ssim")]))
    assert needed and not [name for name in needed if "torch" in name or "c10" in name]


def test_kernel_library_has_no_emulation(prefix):
    nm = shutil.which("nm")
    if not nm:
        pytest.skip("no nm")
    symbols = run([nm, "-DC", "--defined-only", library(prefix, "libfused_ssim")])
    assert "ssim::value_and_grad" in symbols and "emulat" not in symbols and "__tsan" not in symbols


def pkg_config(prefix: Path, name: str) -> list[str]:
    tool = shutil.which("pkg-config") or shutil.which("pkgconf")
    if not tool:
        pytest.skip("no pkg-config")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(next(prefix.rglob("fused_ssim.pc")).parent)}
    return shlex.split(run([tool, "--cflags", "--libs", name], env=environment))


@pytest.mark.parametrize("kind", ["kernels", "operator"])
def test_pkg_config(prefix, tmp_path, kind):
    if kind == "operator" and not HAVE_OPERATOR:
        pytest.skip("built without torch")
    standard = "c++17" if kind == "kernels" else "c++20"
    flags = pkg_config(prefix, "fused_ssim" if kind == "kernels" else "fused_ssim_torch")
    program = tmp_path / "program"
    run([*CXX, f"-std={standard}", "-Wall", "-Wextra", "-Werror", CONSUMERS / f"{kind}.cpp", "-o", program, *flags])
    libraries = library(prefix, "libfused_ssim").parent
    check(program, env={**os.environ, "LD_LIBRARY_PATH": str(libraries)})


def test_cmake(prefix, tmp_path):
    """Both targets; configured against the moved prefix, and refused where another version is asked for."""
    cmake = shutil.which("cmake")
    if not cmake:
        pytest.skip("no cmake")
    run([cmake, "-S", CONSUMERS, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release"])
    run([cmake, "--build", tmp_path])
    check(tmp_path / "with_kernels")
    if HAVE_OPERATOR:
        check(tmp_path / "with_operator")


@pytest.mark.parametrize(
    "request_, message",
    [
        ("fused_ssim 0.9 REQUIRED", 'requested version "0.9"'),
        ("fused_ssim REQUIRED COMPONENTS cuda", "there is no component cuda; there are kernels and operator"),
    ],
)
def test_cmake_refuses(prefix, tmp_path, request_, message):
    cmake = shutil.which("cmake")
    if not cmake:
        pytest.skip("no cmake")
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.18)\nproject(refused LANGUAGES CXX)\nfind_package({request_})\n"
    )
    command = [cmake, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and message in re.sub(r"\s+", " ", done.stderr)


def test_meson_subproject(tmp_path):
    for name in ("meson.build", "kernels.cpp"):
        shutil.copy(CONSUMERS / name, tmp_path)
    (tmp_path / "subprojects").mkdir()
    (tmp_path / "subprojects" / "fused_ssim").symlink_to(ROOT)
    run([*MESON, "setup", tmp_path / "build", tmp_path])
    run([*MESON, "compile", "-C", tmp_path / "build", "with_kernels"])
    check(tmp_path / "build" / "with_kernels")
