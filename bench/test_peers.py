# SPDX-License-Identifier: MIT
"""The packages themselves: which module is whose, and what is timed and refused, with stand-ins for the packages."""

import argparse
import importlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not here")

from bench import packages, peers  # noqa: E402

EXTENSION = """
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "fused_ssim_cuda", 0, -1, 0, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_fused_ssim_cuda(void) { return PyModule_Create(&module); }
"""
PACKAGE = """
import fused_ssim_cuda
allowed_padding = ["same", "valid"]
def fused_ssim(img1, img2, padding="same", train=True):
    return "the published one"
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a package fused_ssim as the published one lays itself out, without its compiled half."""
    (tmp_path / "fused_ssim").mkdir()
    (tmp_path / "fused_ssim" / "__init__.py").write_text(PACKAGE)
    for name in (packages.ALIAS, "fused_ssim_cuda"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in (packages.ALIAS, "fused_ssim_cuda"):
        sys.modules.pop(name, None)


def compile_extension(folder: Path) -> None:
    compiler, include = shutil.which("cc") or shutil.which("gcc"), sysconfig.get_paths()["include"]
    if compiler is None or not (Path(include) / "Python.h").exists():
        pytest.skip("no C compiler, or no Python.h")
    source = folder / "fused_ssim_cuda.c"
    source.write_text(EXTENSION)
    target = folder / f"fused_ssim_cuda{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(target)], check=True)


def test_the_published_package_is_another_object_than_ours(site):
    compile_extension(site)
    published = packages.published_fused_ssim([str(site)])
    assert published.__name__ == packages.ALIAS and published.fused_ssim(None, None) == "the published one"
    assert Path(published.__file__).parent == site / "fused_ssim"
    ours = packages.our_operator()
    assert ours is torch.ops.ssim.fused_ssim and ours is not published.fused_ssim
    module = importlib.import_module("fused_ssim")  # what a user of this build imports
    assert module is not published and Path(module.__file__).parent != site / "fused_ssim"
    x = torch.rand(1, 1, 16, 16)
    assert float(ours(x, x, "same", False)) == pytest.approx(1)


def test_without_its_compiled_half_it_does_not_count(site):
    with pytest.raises(packages.Absent, match="no compiled fused_ssim_cuda"):
        packages.published_fused_ssim([str(site)])
    (site / "fused_ssim_cuda.py").write_text("pass\n")
    with pytest.raises(packages.Absent, match="no compiled fused_ssim_cuda"):
        packages.published_fused_ssim([str(site)])


def test_ours_is_never_taken_for_it():
    with pytest.raises(packages.Absent, match="not installed"):
        packages.published_fused_ssim([str(folder) for folder in packages.OURS])


def test_a_package_that_does_not_load_says_why(site):
    compile_extension(site)
    (site / "fused_ssim" / "__init__.py").write_text("raise RuntimeError('built for another torch')\n")
    with pytest.raises(packages.Absent, match="built for another torch"):
        packages.published_fused_ssim([str(site)])
    assert packages.ALIAS not in sys.modules


def test_what_is_absent_has_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_msssim", None)  # importing it fails
    there = packages.systems("cpu")
    assert there["fused_ssim (package)"].reason == "it does not run on cpu"
    assert "cannot be imported" in there["pytorch_msssim (package)"].reason
    assert there["operator"].make is not None


def fake_systems(monkeypatch, **functions):
    """Systems of plain functions (x, y, padding, train) -> mean."""
    made = {name: packages.System("a stand-in", packages._with_autograd(f)) for name, f in functions.items()}
    monkeypatch.setattr(packages, "systems", lambda device: made)
    return made


def measure(shape="1x1x16x16"):
    return peers.measure(argparse.Namespace(device="cpu", shape=[shape], seconds=0.0), torch)


def test_systems_are_timed_side_by_side(monkeypatch):
    ours = packages.our_operator()
    names = ("operator", "pytorch_mssim", "pytorch_msssim (package)")
    fake_systems(monkeypatch, **{name: lambda x, y, p, t: ours(x, y, p, t) for name in names})
    found, wrong = measure()
    assert wrong == 0 and {r["name"] for r in found["rows"]} == set(names)
    assert all(r["rounds"] >= peers.LEAST_ROUNDS and r["clock"] == "wall" for r in found["rows"])
    pairs = {(r["baseline"], r["subject"]) for r in found["ratios"]}
    assert ("pytorch_msssim (package)", "operator") in pairs and ("operator", "pytorch_mssim") not in pairs
    assert all(r["low"] <= r["ratio"] <= r["high"] for r in found["ratios"])
    assert len(found["equivalence"]) == 4  # two paddings, two modes


def test_another_mean_gets_no_time(monkeypatch):
    ours = packages.our_operator()
    there = fake_systems(
        monkeypatch,
        **{
            "operator": lambda x, y, p, t: ours(x, y, p, t),
            "pytorch_mssim": lambda x, y, p, t: ours(x, y, p, t),
            "pytorch_msssim (package)": lambda x, y, p, t: ours(x, y, p, t) + 1e-3,
        },
    )
    found, wrong = measure()
    assert wrong == 4 and found["rows"] == [] and "its mean is" in there["pytorch_msssim (package)"].reason


def test_one_that_fails_does_not_take_the_others_with_it(monkeypatch):
    ours = packages.our_operator()

    def broken(x, y, padding, train):
        raise RuntimeError("no kernel image")

    there = fake_systems(
        monkeypatch,
        **{"operator": lambda x, y, p, t: ours(x, y, p, t), "fused_ssim (package)": broken,
           "pytorch_msssim (package)": lambda x, y, p, t: ours(x, y, p, t)},
    )  # fmt: skip
    found, wrong = measure()
    assert wrong == 0 and {r["name"] for r in found["rows"]} == {"operator", "pytorch_msssim (package)"}
    assert "no kernel image" in there["fused_ssim (package)"].reason


def ratio(low, high):
    return {"baseline": "pytorch_msssim (package)", "subject": "pytorch_mssim", "ratio": (low + high) / 2, "low": low,
            "high": high}  # fmt: skip


@pytest.mark.parametrize("low, high, within", [(0.96, 1.04, True), (0.94, 1.04, False), (0.99, 1.06, False)])
def test_equivalence_is_judged_by_the_interval(low, high, within):
    assert [e["within"] for e in peers.equivalence([ratio(low, high)])] == [within]


def test_neither_package_is_77(tmp_path):
    """An interpreter that hides the packages: the command says so and writes nothing."""
    (tmp_path / "pytorch_msssim.py").write_text("raise ImportError('hidden')\n")
    root = packages.ROOT
    arguments = ["peers", "--device", "cpu", "--out", str(tmp_path / "peers.json")]
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]
sys.argv = {arguments!r}
from bench import peers
sys.exit(peers.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.returncode == 77, done.stderr
    assert "neither package can be timed here" in done.stderr and "hidden" in done.stderr
    assert not (tmp_path / "peers.json").exists()
