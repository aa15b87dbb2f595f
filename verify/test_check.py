# SPDX-License-Identifier: MIT
"""`./suite check`: a right implementation of each kind passes, each wrong one is named, bad arguments are misuse."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from frontdoor.commands import check
from frontdoor.place import BUILD, Stop

ROOT = Path(__file__).resolve().parent.parent
VERIFY = Path(os.environ.get("SUITE_BUILD", BUILD)) / "verify"
EXAMPLE = ROOT / "verify" / "testdata" / "example_row.c"


@pytest.fixture(scope="module")
def compiler():
    found = shutil.which("cc") or shutil.which("gcc")
    if not found:
        pytest.skip("no C compiler")
    return found


def build(compiler: str, folder: Path, mistake: int) -> Path:
    library = folder / f"libexample_{mistake}.so"
    command = [compiler, "-O2", "-shared", "-fPIC", f"-DMISTAKE={mistake}", f"-I{ROOT}"]
    command += [str(EXAMPLE), "-o", str(library)]
    subprocess.run([*command, "-lm"], check=True)
    return library


def library_tests(library: Path, match: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [VERIFY / "test_accuracy", "--match", match, "--gtest_brief=1"],
        env={**os.environ, "SUITE_LIBRARY": str(library), "SUITE_LIBRARY_NAME": "mine", "SUITE_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


SOME = r"cpu:mine:(infer|train):(same|valid):(2x3x37x53|1x1x17x79)/(uniform|textured|local)"


def test_right_library_passes(compiler, tmp_path):
    done = library_tests(build(compiler, tmp_path, 0), SOME)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "[  PASSED  ] 20 tests" in done.stdout


@pytest.mark.parametrize(
    "mistake, message",
    [
        (1, "gradient of image"),
        (2, "oracle"),
        (3, "gradient of image"),
        (4, "grad_x was written 0 bytes past its end"),
        (5, "x was modified"),
        (6, "control block of the workspace is not zero"),
    ],
)
def test_wrong_library_is_caught(compiler, tmp_path, mistake, message):
    done = library_tests(build(compiler, tmp_path, mistake), SOME)
    assert done.returncode == 1
    assert message in done.stdout and "cpu:mine:" in done.stdout


def test_every_test_of_rows_takes_the_library(compiler, tmp_path):
    environment = {**os.environ, "SUITE_LIBRARY": str(build(compiler, tmp_path, 0)), "SUITE_LIBRARY_NAME": "mine"}
    for name in check.ROW_TESTS - {"libssim_verify_c.so"}:
        listed = subprocess.run(
            [VERIFY / name, "--list", "--match", "cpu:mine(:|$)"], env=environment, capture_output=True, text=True
        )
        assert listed.returncode == 0 and "cpu:mine" in listed.stdout, name


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    check.arguments(parser)
    return parser.parse_args(given)


def test_library_arguments(compiler, tmp_path):
    good = build(compiler, tmp_path, 0)
    args = arguments("--library", str(good))
    check.check(args)
    assert args.name == "example_0" and Path(args.library).is_absolute()
    lacking = build(compiler, tmp_path, 7)
    text = tmp_path / "text.so"
    text.write_text("no library")
    for given, message in [
        (["--library", str(tmp_path / "none.so")], "there is no such file"),
        (["--library", str(text)], "cannot be loaded"),
        (["--library", str(lacking)], "does not export ssim_row_value_and_grad"),
        (["--library", str(good), "--name", "stream"], "there is a row of this name already"),
        (["--library", str(good), "--name", "a-b"], "letters, digits and _ only"),
        (["--library", str(good), "--padding", "valid"], "--padding goes with --python"),
        (["--python", "module.function"], "not of the form MODULE:FUNCTION"),
    ]:
        with pytest.raises(Stop) as stop:
            check.check(arguments(*given))
        assert stop.value.status == 2 and message in str(stop.value)


def python_check(*given: str) -> subprocess.CompletedProcess:
    library = VERIFY / "libssim_verify_c.so"
    if not library.exists():
        pytest.skip("libssim_verify_c.so is not built")
    return subprocess.run(
        [sys.executable, ROOT / "verify" / "check_python.py", *given, "--library", library, "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "verify" / "testdata")},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("given", [["example_ssim:right"], ["example_ssim:valid_only", "--padding", "valid"]])
def test_right_function_passes(given):
    pytest.importorskip("torch")
    done = python_check(*given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout and "checks passed" in done.stdout


@pytest.mark.parametrize(
    "function, message",
    [
        ("no_gradient", "gradient of element"),
        ("wrong_constant", "mean without gradient"),
        ("not_a_scalar", "not a scalar tensor"),
        ("modifies_its_input", "img2 was modified"),
        ("swallows_nan", "a NaN pixel, and yet the mean is"),
        ("raises", "ValueError: not today"),
    ],
)
def test_wrong_function_is_caught(function, message):
    pytest.importorskip("torch")
    done = python_check(f"example_ssim:{function}", "--padding", "valid")
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    if function != "modifies_its_input":  # of which the first twenty complaints are about accuracy
        assert message in done.stdout


@pytest.mark.parametrize(
    "given, message",
    [
        (["nosuchmodule:f"], "No module named 'nosuchmodule'"),
        (["example_ssim:nothing"], "module example_ssim has no nothing"),
        (["example_ssim:NUMBER"], "NUMBER is int, not a function"),
        (["example_ssim:valid_only"], "say with --padding same|valid"),
    ],
)
def test_misuse(given, message):
    pytest.importorskip("torch")
    done = python_check(*given)
    assert done.returncode == 2 and message in done.stderr
