# SPDX-License-Identifier: MIT
"""A wrong, missing or damaged table of preferences does not compile, and the compiler says why."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
TABLE = "selection_table.hpp"


@pytest.fixture(scope="module")
def compiler() -> list[str]:
    names = [os.environ.get("CXX") or "c++", "g++", "clang++"]
    found = next((name for name in names if shutil.which(shlex.split(name)[0])), "")
    if not found:
        pytest.skip("no C++ compiler")
    return shlex.split(found)


def compile_with(tmp_path: Path, compiler: list[str], change) -> str:
    """What the compiler says of the two files that read the table; "" where both compile. change: text -> text, or None
    for no table."""
    shutil.copytree(KERNELS, tmp_path / "kernels", ignore=shutil.ignore_patterns("torch", "emulation", "cpu"))
    table = tmp_path / "kernels" / TABLE
    text = change(table.read_text())
    if text is None:
        table.unlink()
    else:
        assert (text == table.read_text()) == (change is unchanged), "the change must change something"
        table.write_text(text)
    told = ""
    for name in ("selection.cpp", "registry.cpp"):
        command = [*compiler, "-std=c++20", "-fsyntax-only", "-DSSIM_WITH_CUDA=0", "-DSSIM_WITH_EMULATION=0"]
        done = subprocess.run([*command, str(tmp_path / "kernels" / name)], capture_output=True, text=True)
        told += done.stderr if done.returncode else ""
    return told


def unchanged(text: str) -> str:
    return text


def test_the_committed_table_compiles(tmp_path, compiler):
    assert compile_with(tmp_path, compiler, unchanged) == ""


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda text: None, "selection_table.hpp"),
        (lambda text: text[: len(text) // 2], "error"),
        (lambda text: re.sub(r'\{"stream"', '{"nosuch"', text), "names a row that the registry does not have"),
        (lambda text: text.replace("train, Padding::valid", "train, Padding::same"), "has no line without limits"),
        (lambda text: text.replace("4 | 8 | 16", "8 | 16"), "has no line without limits"),
        (lambda text: text.replace("no_limit, no_limit", "4096, no_limit"), "has no line without limits"),
        (lambda text: text.replace("Device::cpu, 0", "Device::cuda, 80"), "has no line without limits"),
        (lambda text: text.replace("4 | 8 | 16", "4 | 8 | 16 | 32"), "a line is damaged"),
        (lambda text: text.replace('{"stream"}', '{"stream", "stream"}'), "a line is damaged"),
        (lambda text: text.replace('{"stream"}', "{}"), "a line is damaged"),
        (lambda text: text.replace("Device::cuda, 90", "Device::cuda, 0"), "a line is damaged"),
    ],
)  # fmt: skip
def test_what_does_not_compile(tmp_path, compiler, change, told):
    assert told in compile_with(tmp_path, compiler, change)
