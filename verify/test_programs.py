# SPDX-License-Identifier: MIT
"""The programs ssim_accuracy and ssim_fuzz, and the options of every test program: what they write, how they end, what
they refuse."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from frontdoor.place import BUILD
from reports import accuracy

VERIFY = Path(os.environ.get("SUITE_BUILD", BUILD)) / "verify"


def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    if not (VERIFY / program).exists():
        pytest.skip(f"{program} is not built")
    return subprocess.run(
        [VERIFY / program, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    "program, arguments, message",
    [
        ("ssim_accuracy", ["--filter", "("], "--filter '(' is not a regular expression"),
        ("ssim_accuracy", ["--filter", "nosuchrow"], "--filter 'nosuchrow' matches no row"),
        ("ssim_accuracy", ["--seeds", "0"], "--seeds 0: a number, at least 1"),
        ("ssim_accuracy", ["--random", "ten"], "--random ten: a number, at least 1"),
        ("ssim_accuracy", ["--seeds"], "no value for --seeds"),
        ("ssim_accuracy", ["--fliter", "x"], "unknown argument --fliter"),
        ("ssim_fuzz", [], "--minutes must be above 0"),
        ("ssim_fuzz", ["--minutes", "-1"], "--minutes must be above 0"),
        ("ssim_fuzz", ["--minutes", "soon"], "not a number: soon"),
        ("ssim_fuzz", ["--minutes"], "no value for --minutes"),
        ("ssim_fuzz", ["--minutes", "1", "--filter", "["], "not a regular expression: ["),
        ("ssim_fuzz", ["--hours", "1"], "unknown argument --hours"),
        ("test_compare", ["--match", "("], "--match '(' is not a regular expression"),
        ("test_compare", ["--match", "nosuchtest"], "--match 'nosuchtest' finds no test"),
        ("test_compare", ["--match"], "--match needs an expression"),
        ("test_compare", ["everything"], "unknown argument everything"),
    ],
)
def test_misuse(program, arguments, message):
    done = run(program, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_accuracy_writes_a_table_that_reports_can_read(tmp_path):
    out = tmp_path / accuracy.FILE
    done = run("ssim_accuracy", "--filter", "^cpu:reference$", "--seeds", "1", "--random", "3", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "0 outside tolerance" in done.stderr and "classes, about 0 s left" in done.stderr
    found = accuracy.load(tmp_path)
    assert {(r["device"], r["name"]) for r in found["rows"]} == {("cpu", "reference")}
    assert len(found["rows"]) == len({r["class"] for r in found["rows"]}) >= 20
    by_class = {r["class"]: r for r in found["rows"]}
    assert by_class["uniform"]["gradient"] >= max(by_class["uniform"][r] for r in ("corner", "edge", "interior")) > 0
    assert by_class["identical"]["mean"] == by_class["identical"]["gradient"] == 0
    assert str(tmp_path) not in out.read_text() and "--seeds 1 --random 3" in found["command"]
    assert "## cpu:reference" in accuracy.page(found)


def test_accuracy_without_out_goes_to_stdout_and_unwritable_is_misuse(tmp_path):
    some = ["--filter", "^cpu:reference$", "--seeds", "1", "--random", "1"]
    assert json.loads(run("ssim_accuracy", *some).stdout)["schema"] == 1
    done = run("ssim_accuracy", *some, "--out", str(tmp_path))
    assert done.returncode == 2 and "cannot write" in done.stderr


def test_fuzz_counts_its_cases_and_repeats_them():
    done = run("ssim_fuzz", "--minutes", "0.02", "--filter", "^cpu:reference$", "--seed", "7", SUITE_DEVICE="cpu")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("seed 7; to repeat the whole run: build/verify/ssim_fuzz --minutes 0.02 --seed 7")
    cases, rest = done.stdout.splitlines()[-1].split(" cases in ")
    assert int(cases) > 0 and rest.endswith("s, 0 failed")


def test_fuzz_without_a_row_cannot_run():
    assert run("ssim_fuzz", "--minutes", "1", "--filter", "^cpu:", SUITE_DEVICE="cuda-emulated").returncode == 77


def test_tests_list_and_skip():
    listed = run("test_compare", "--list", "--match", "^Compare")
    assert listed.returncode == 0 and "Compare.FingerprintSeesEachBit" in listed.stdout.splitlines()
    arguments = ["--match", "^random.cpu:"]
    skipped = run("test_random", *arguments, SUITE_DEVICE="cuda-emulated")
    assert skipped.returncode == 77, skipped.stdout[-500:]
