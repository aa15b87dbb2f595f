# SPDX-License-Identifier: MIT
"""A build beside build/ with options of its own (sanitizers, coverage), and its C++ tests."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import subprocess
from pathlib import Path
from typing import Iterable

from frontdoor.commands import test
from frontdoor.place import GOOD, ROOT, WRONG, Stop
from frontdoor.testrun import Test

# Tests that run code which is wrong on purpose, or that are about the suite's own build alone.
NOT_HERE = {
    "test_mutants": "runs rows with defects",
    "test_emulation": "runs kernels with defects",
    "test_emulation_on_card": "needs a card",
    "bench_test_gpu_timer": "needs a card",
}


def configure(command: str, folder: Path, options: list[str], environment: dict[str, str], context) -> None:
    """Nothing if the folder is configured with these options already."""
    stamp = folder / "options.txt"
    wanted = "\n".join([context.python, environment.get("CXX", ""), *options])
    if (folder / "build.ninja").exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    setup = [context.python, "-m", "mesonbuild.mesonmain", "setup", str(folder), str(ROOT)]
    setup += [f"-Dpython={context.python}", "-Dcuda=disabled", *options]
    done = subprocess.run(setup, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Stop(WRONG, f"{command}: configuring {folder} failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    stamp.write_text(wanted)


def tests(context, folder: Path, more: Iterable[str] = ()) -> list[Test]:
    """The C++ tests of the build that are not NOT_HERE, and those named `more`."""
    return [
        t for t in test.registered(context, folder) if t.name in more or t.kind == "gtest" and t.name not in NOT_HERE
    ]


def run(command: str, context, folder: Path, chosen: list[Test], environment: dict[str, str], slower: float,
        more_targets: Iterable[str] = ()) -> bool:  # fmt: skip
    """Builds what these tests need and runs them, each given `slower` times its usual limit."""
    targets = [os.path.relpath(t.command[0], folder) for t in chosen if t.kind == "gtest"] + list(more_targets)
    build = [context.interpreter.ninja, "-C", str(folder), *targets]
    done = subprocess.run(build, env=context.environment(), capture_output=True, text=True)
    if done.returncode:
        raise Stop(WRONG, f"{command}: building in {folder} failed:\n{done.stdout[-4000:]}")
    chosen = [dataclasses.replace(t, timeout=t.timeout and t.timeout * slower) for t in chosen]
    args = argparse.Namespace(filter=None, jobs=min(2, len(os.sched_getaffinity(0))))
    return test.run_tests(args, chosen, environment, remember=False) == GOOD
