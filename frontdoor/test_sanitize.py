# SPDX-License-Identifier: MIT
"""What the builds beside build/ run and count: ThreadSanitizer's tests, and what coverage leaves out."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from frontdoor import testrun
from frontdoor.commands import coverage, sanitize
from frontdoor.place import BUILD, ROOT

VERIFY = Path(os.environ.get("SUITE_BUILD", BUILD)) / "verify"


def test_threads_of_tests_are_run_under_the_thread_sanitizer():
    names = ["test_accuracy", "test_environment", "test_photographs"]
    tests = [testrun.Test(name, ["rows"], [str(VERIFY / name)], {}, None, 60, True) for name in names]
    accuracy, environment = sanitize.threaded(tests)
    assert accuracy.command == tests[0].command and tests[1].command == [str(VERIFY / "test_environment")]
    if not Path(environment.command[0]).exists():
        pytest.skip("test_environment is not built")
    listed = subprocess.run([*environment.command, "--list"], capture_output=True, text=True, check=True).stdout.split()
    assert "environment_two_host_threads.cpu:stream:train:same" in listed
    assert all(name.startswith("environment_two_host_threads.cpu:") for name in listed)  # none that forks


def test_every_threaded_test_exists():
    names = (ROOT / "verify" / "meson.build").read_text()
    assert all(f"'{name}'" in names for name in sanitize.THREADED)


def left_out(path: str) -> bool:
    return any(re.match(pattern, path) for pattern in coverage.LEFT_OUT)


def test_host_code_is_counted():
    host = [path for folder in ("cuda", "cuda/emulation") for path in (ROOT / "kernels" / folder).glob("*.hpp")]
    host += [*(ROOT / "kernels" / "cuda").glob("*_plan.cuh"), *(ROOT / "kernels" / "cuda" / "emulation").glob("*.cpp")]
    assert len(host) > 10
    assert not [path for path in host if left_out(str(path.relative_to(ROOT)))]
    device = [*(ROOT / "kernels" / "cuda").glob("*.cu"), *(ROOT / "kernels" / "cuda").glob("*_feed.cuh")]
    assert all(left_out(str(path.relative_to(ROOT))) for path in device)


def test_what_coverage_cannot_see_is_named():
    assert all(left_out(path) for path in ("kernels/cuda/runtime.cpp", "verify/check_python.py", "verify/card.cpp"))
    assert not left_out("verify/compare.cpp") and not left_out("verify/check.cpp")
