# SPDX-License-Identifier: MIT
"""The command line of ssim_operator_cost: what it prints, and its exit statuses."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

PROGRAM = os.environ["SSIM_OPERATOR_COST"]


def run(*flags: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([PROGRAM, *flags], env=environment, capture_output=True, text=True, timeout=120)


def test_prints_a_median_for_each_call():
    done = run("--shape", "1x1x16x16", "--benchmark_repetitions=3")
    assert done.returncode == 0, done.stderr
    for row, words in (("operator", 1), ("operator_recompute", 0)):
        (kept,) = re.findall(rf"^cpu:{row}:\S+ keeps ([\d.]+) words", done.stdout, re.M)
        assert float(kept) == pytest.approx(words, abs=0.01)
    medians = dict(re.findall(r"^cpu:(\S+):1x1x16x16/\S*_median +([\d.]+) us", done.stdout, re.M))
    assert {
        "production:infer",
        "operator:forward",
        "operator:forward_backward",
        "operator:with_grad",
        "autograd:empty_node",
    } <= medians.keys()
    assert all(float(microseconds) > 0 for microseconds in medians.values())


@pytest.mark.parametrize(
    "flags, status, message",
    [
        (("--device", "cuda"), 77, "CUDA"),
        (("--device", "tpu"), 2, "tpu"),
        (("--shape", "1x1x32"), 2, "--shape"),
        (("--speed",), 2, "--speed"),
    ],
)
def test_exit_statuses(flags, status, message):
    done = run(*flags)
    assert done.returncode == status and message in done.stdout + done.stderr
