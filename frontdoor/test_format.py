# SPDX-License-Identifier: MIT
"""C++ and CUDA sources are as clang-format 14 with .clang-format leaves them; Python keeps to 120 columns."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ["kernels", "baselines", "verify", "bench", "reports", "frontdoor", "python", "cpp", "pictures"]
VERSION = 14  # others lay the same code out differently


def sources(*patterns: str) -> list[Path]:
    return sorted(p for folder in FOLDERS for pattern in patterns for p in (ROOT / folder).rglob(pattern))


def clang_format() -> str:
    for name in (f"clang-format-{VERSION}", "clang-format"):
        path = shutil.which(name)
        if path:
            text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            match = re.search(r"version (\d+)", text)
            if match and int(match[1]) == VERSION:
                return path
    pytest.skip(f"clang-format {VERSION} is not here")


def test_cpp_layout():
    tool = clang_format()
    files = sources("*.cpp", "*.hpp", "*.h", "*.cu", "*.cuh")
    assert files
    bad = [
        str(f.relative_to(ROOT))
        for f in files
        if subprocess.run([tool, "--style=file", "--dry-run", "--Werror", str(f)], capture_output=True).returncode
    ]
    assert not bad, f"to mend: clang-format -i {' '.join(bad)}"


def test_columns():
    files = [*sources("*.py"), ROOT / "suite"]
    assert len(files) > 1
    long = [
        f"{f.relative_to(ROOT)}:{n}"
        for f in files
        for n, line in enumerate(f.read_text().splitlines(), 1)
        if len(line) > 120
    ]
    assert not long, f"over 120 columns: {', '.join(long)}"


def test_licence_line():
    files = [
        *sources("*.py", "*.cpp", "*.hpp", "*.h", "*.cu", "*.cuh", "meson.build"),
        ROOT / "suite",
        ROOT / "meson.build",
    ]
    without = [str(f.relative_to(ROOT)) for f in files if "SPDX-License-Identifier: MIT" not in f.read_text()[:200]]
    assert not without
