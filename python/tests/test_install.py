# SPDX-License-Identifier: MIT
"""The source distribution; pip install from it, without and with build isolation; a program that uses what it put.

The CPU build alone: what CUDA adds is the kernels' own compilation, which the suite's build has shown by now. It is
compiled once, which is the longest part of these tests. meson-python is the interpreter's, else the one of
frontdoor/requirements.txt fetched for the moment; without either, and without the package index, tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = (ROOT / "frontdoor" / "requirements.txt").read_text().splitlines()
NO_INDEX = ("No matching distribution found", "Could not find a version", "Max retries exceeded")

PROGRAM = """
import json, sys
import torch
import fused_ssim
from fused_ssim import fused_ssim as ssim
torch.manual_seed(5)
x, y = torch.rand(2, 3, 40, 50, requires_grad=True), torch.rand(2, 3, 40, 50)
value = ssim(x, y, padding="valid")
(1 - value).backward()
why = fused_ssim.explain(x.shape, device="cuda")
about = [fused_ssim.__file__, fused_ssim.__version__, value.item(), x.grad.double().sum().item()]
print(json.dumps([*about, why.row, why.why]))
"""


def python(arguments: list[str], paths: list[Path], folder: Path, **kwargs) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    tools = [str(path / "bin") for path in paths] + [os.path.dirname(sys.executable)]  # Meson is one
    environment["PATH"] = os.pathsep.join([*tools, environment["PATH"]])
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, **kwargs
    )


@pytest.fixture(scope="module")
def builder(tmp_path_factory) -> list[Path]:
    """What PYTHONPATH must have so that pip can build: nothing where the interpreter has meson-python."""
    folder = tmp_path_factory.mktemp("builder")
    if python(["-m", "pip", "--version"], [], folder).returncode:
        pytest.skip("this interpreter has no pip")
    if python(["-c", "import mesonpy"], [], folder).returncode == 0:
        return []
    pinned = next(line for line in REQUIREMENTS if line.startswith("meson-python=="))
    fetch = ["-m", "pip", "install", "--quiet", "--no-deps", "--retries", "1", "--timeout", "20", "--target"]
    got = python([*fetch, str(folder), pinned, "pyproject-metadata", "packaging"], [], folder)
    if got.returncode:
        pytest.skip("meson-python is neither installed nor to be had from the package index")
    return [folder]


@pytest.fixture(scope="module")
def archive(builder, tmp_path_factory) -> Path:
    """The source distribution."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the sources is no git repository, which a source distribution is made from")
    folder = tmp_path_factory.mktemp("sdist")
    script = "import sys; sys.path.insert(0, 'python'); import build_backend as b; print(b.build_sdist(sys.argv[1]))"
    done = python(["-c", script, str(folder)], builder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def source(archive, tmp_path_factory) -> Path:
    """The sources as somebody has them who got the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("build")


def install(how: list[str], source: Path, build: Path, paths: list[Path], target: Path) -> subprocess.CompletedProcess:
    settings = [f"build-dir={build}", "setup-args=-Dcuda=disabled"]  # -C only since pip 23.1
    command = ["-m", "pip", "install", *how, "--no-deps", "--target", str(target)]
    command += [f"--config-settings={setting}" for setting in settings]
    return python([*command, str(source)], paths, target, timeout=550)


@pytest.fixture(scope="module")
def installed(builder, source, build, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("target")
    done = install(["--no-build-isolation", "--no-index"], source, build, builder, target)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return target


def test_what_is_installed(installed):
    names = {str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    package = {n.removeprefix("fused_ssim/") for n in names if n.startswith("fused_ssim/")}
    modules = {p.name for p in (ROOT / "python" / "fused_ssim").glob("*.py")}
    assert package == modules | {"_built_for.py", "py.typed", "libfused_ssim_ops.so"} and len(modules) > 2
    assert not [n for n in names if not n.startswith(("fused_ssim/", "fused_ssim-"))]
    metadata = next(installed.glob("fused_ssim-*.dist-info/METADATA")).read_text()
    assert "Name: fused-ssim\n" in metadata and "Requires-Dist: torch>=2.7\n" in metadata


def test_installed_package_runs(installed, tmp_path):
    done = python(["-c", PROGRAM], [installed], tmp_path)
    assert done.returncode == 0, done.stderr
    file, version, value, gradient, row, why = json.loads(done.stdout)
    assert Path(file).parent == installed / "fused_ssim"
    import fused_ssim

    assert version == fused_ssim.__version__
    torch.manual_seed(5)
    x, y = torch.rand(2, 3, 40, 50, requires_grad=True), torch.rand(2, 3, 40, 50)
    here = fused_ssim.fused_ssim(x, y, padding="valid")
    (1 - here).backward()
    assert value == here.item() and gradient == pytest.approx(x.grad.double().sum().item(), abs=1e-6)
    assert row is None and ("no CUDA compiler" in why or "CPU-only" in why)


def test_another_torch_is_told_how_to_install(installed, tmp_path):
    built_for = installed / "fused_ssim" / "_built_for.py"
    text = built_for.read_text()
    built_for.write_text(text.replace(f'TORCH = "{torch.__version__}"', 'TORCH = "2.7.0+cpu"'))
    try:
        done = python(["-c", "import fused_ssim"], [installed], tmp_path)
    finally:
        built_for.write_text(text)
    assert done.returncode == 1
    assert f"ImportError: fused_ssim was built for torch 2.7.0+cpu, but torch {torch.__version__}" in done.stderr
    assert "pip install --force-reinstall" in done.stderr


def test_isolated_build_is_for_the_torch_that_is_there(installed, source, build, tmp_path):
    """pip hides this interpreter's packages and fetches meson-python, Meson, Ninja; the objects are there already."""
    done = install(["--retries", "1", "--timeout", "20"], source, build, [], tmp_path)
    if done.returncode and any(words in done.stdout + done.stderr for words in NO_INDEX):
        pytest.skip("pip cannot reach a package index")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    ran = python(["-c", PROGRAM], [tmp_path], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert Path(json.loads(ran.stdout)[0]).parent == tmp_path / "fused_ssim"


def test_sdist(archive):
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = listing.split("\n")
    assert {"pyproject.toml", "PKG-INFO", "kernels/ssim.hpp", "python/build_backend.py"} <= names
    assert {name for name in tracked if name.startswith(("kernels/", "python/", "cpp/"))} - names == set()
