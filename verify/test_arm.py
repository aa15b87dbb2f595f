# SPDX-License-Identifier: MIT
"""The CPU code compiles for 64-bit Arm, without warnings, where there is a compiler for it (g++-aarch64-linux-gnu)."""

import shutil
import subprocess

import pytest

from frontdoor.place import ROOT

COMPILER = "aarch64-linux-gnu-g++"
FLAGS = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-fopenmp", "-ffp-contract=fast", "-fno-math-errno",
         "-DSSIM_ISA=portable", f"-I{ROOT}", f"-I{ROOT / 'kernels'}"]  # fmt: skip
SOURCES = sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("kernels/*.cpp"), *ROOT.glob("kernels/cpu/*.cpp")])


@pytest.mark.skipif(not shutil.which(COMPILER), reason=f"there is no {COMPILER}")
@pytest.mark.parametrize("source", SOURCES)
def test_compiles(source, tmp_path):
    done = subprocess.run([COMPILER, *FLAGS, "-c", str(ROOT / source), "-o", str(tmp_path / "object.o")],
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
