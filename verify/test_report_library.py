# SPDX-License-Identifier: MIT
"""`./suite report --library`: a right library is timed beside our rows, a wrong one gets no time.

The libraries are verify/testdata/example_row.c with its mistakes. Costs about half a minute: one figure is timed.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from frontdoor.commands import check, report
from frontdoor.here import Here
from frontdoor.place import BUILD, ROOT, Stop

PROGRAM = BUILD / "bench" / "ssim_bench"
RIGHT, WEIGHT_IGNORED = 0, 3
ONE = "^cpu:(mine|production):(infer|train):same:1x1x64x64:"


def build(folder: Path, mistake: int) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    library = folder / f"libexample_{mistake}.so"
    command = [compiler, "-O2", "-shared", "-fPIC", f"-DMISTAKE={mistake}", f"-I{ROOT}"]
    subprocess.run([*command, str(ROOT / "verify/testdata/example_row.c"), "-o", str(library), "-lm"], check=True)
    return library


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    report.arguments(parser)
    return parser.parse_args(given)


@pytest.fixture
def few_tests(monkeypatch):
    """Of the tests of `./suite check`, which are test_check.py's matter, random cases alone; no library left over."""
    if not PROGRAM.exists() or not (BUILD / "verify" / "test_random").exists():
        pytest.skip("ssim_bench or test_random is not built in build/")
    monkeypatch.setattr(check, "ROW_TESTS", {"test_random"})
    for name in ("SUITE_LIBRARY", "SUITE_LIBRARY_NAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")


def run(library: Path, out: Path, *more: str) -> int:
    args = arguments("--library", str(library), "--name", "mine", "--device", "cpu", "--set", "smoke", "--filter", ONE,
                     "--out", str(out), *more)  # fmt: skip
    report.check(args)
    return report.run(args, Here())


def test_a_right_library_is_timed_beside_our_rows(few_tests, tmp_path, capfd):
    out = tmp_path / "out"
    assert run(build(tmp_path, RIGHT), out) == 0
    table = capfd.readouterr().out
    assert "verifying it" in table and any("mine" in line and "production" not in line for line in table.splitlines())
    rows = {(row["name"], row["mode"]): row for row in json.loads((out / "report.json").read_text())["rows"]}
    for mode in ("infer", "train"):
        mine, ours = rows["mine", mode], rows["production", mode]
        assert mine["verified"] and mine["error"] is None and mine["idea"] == "a library of the user's"
        # 121 taps in fp64, one position after the other: if it were not slower, something else was timed.
        assert mine["ps_per_element"] > 3 * ours["ps_per_element"] > 0
    named = [row for row in csv.DictReader((out / "report.csv").open()) if row["name"] == "mine"]
    assert len(named) == 2 and all(float(row["ps_per_element"]) > 0 for row in named)
    assert "mine" in (out / "report.md").read_text()


def test_a_wrong_library_gets_no_time(few_tests, tmp_path, capfd):
    out = tmp_path / "out"
    assert run(build(tmp_path, WEIGHT_IGNORED), out) == 1
    seen = capfd.readouterr()
    assert "FAILED test_random: random.cpu:mine" in seen.out and "gradient of image" in seen.out
    assert "mine" in seen.err and "is wrong, see above: it gets no time, and nothing was measured" in seen.err
    assert not list(out.iterdir())


def bench(library: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    command = [str(PROGRAM), "--device", "cpu", "--threads", "1", "--set", "smoke", "--seconds", "2", "--no-ceilings"]
    return subprocess.run(
        [*command, "--filter", "^cpu:mine:train:same:1x1x64x64:", "--out", str(out), *more],
        env={**os.environ, "SUITE_LIBRARY": str(library), "SUITE_LIBRARY_NAME": "mine"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_benchmark_itself_gives_a_wrong_library_no_time(few_tests, tmp_path):
    """Should the tests before it have missed something, the problem that is timed is verified once more."""
    out = tmp_path / "wrong.jsonl"
    done = bench(build(tmp_path, WEIGHT_IGNORED), out)
    assert done.returncode == 1, done.stderr
    records = [json.loads(line) for line in out.read_text().splitlines()]
    (row,) = [record for record in records if record["type"] == "row"]
    assert row["seconds"] is None and not row["verified"] and "gradient of image" in row["error"]
    assert not [record for record in records if record["type"] == "samples"]


def test_another_build_of_the_library_is_another_run(few_tests, tmp_path):
    out = tmp_path / "one.jsonl"
    assert bench(build(tmp_path, RIGHT), out).returncode == 0
    again = bench(build(tmp_path, WEIGHT_IGNORED), out, "--resume")
    assert again.returncode == 2 and "library was" in again.stderr


def test_a_device_that_the_library_does_not_support(few_tests, tmp_path, monkeypatch):
    """A library for the CPU in a report of a card; the card is pretended, it is not reached."""
    monkeypatch.setattr(report.machine, "have_driver", lambda: True)
    args = arguments("--library", str(build(tmp_path, RIGHT)), "--device", "cuda", "--out", str(tmp_path / "out"))
    report.check(args)
    with pytest.raises(Stop) as stop:
        report.run(args, Here())
    assert stop.value.status == 2 and "no test of it on device cuda" in str(stop.value)


@pytest.mark.parametrize(
    "given, message",
    [
        (["--library", "/nowhere/mine.so"], "--library /nowhere/mine.so: there is no such file"),
        (["--name", "mine"], "--name mine goes with --library PATH"),
        (["--library", "mine.so", "--from", "/tmp"], "--library mine.so: --check and --from measure nothing"),
        (["--library", "mine.so", "--check", "/tmp"], "--library mine.so: --check and --from measure nothing"),
    ],
)
def test_misuse(given, message):
    with pytest.raises(Stop) as stop:
        report.check(arguments(*given))
    assert stop.value.status == 2 and message in str(stop.value)


def test_not_by_several_processes(monkeypatch):
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(Stop, match="by one process alone"):
        report.check(arguments("--library", "mine.so"))
