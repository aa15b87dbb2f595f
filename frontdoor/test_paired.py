# SPDX-License-Identifier: MIT
"""Pairs of processes around a stand-in for the benchmark: order, what a kill costs, what a failing side says."""

import json
import os
import stat
import subprocess
import sys

import pytest

from frontdoor import trees
from frontdoor.paired import Run, finished, run_pairs
from frontdoor.place import ROOT, Stop
from reports.gate import judge
from reports.pairs import read_side

# Writes what the benchmark would, notes that it ran, and ends with the status that $FAIL_AT_N asks of its n-th start.
PROGRAM = """#!{python}
import json, os, sys
log = os.environ["STARTS"]
with open(log, "a") as out: out.write(sys.argv[1] + "\\n")
count = len(open(log).read().split())
status = int(os.environ.get(f"FAIL_AT_{{count}}", 0))
if status: sys.exit(status)
from reports.example import Stream, key
seconds = 1.2e-3 if sys.argv[1] == "head" else 1e-3
stream = Stream(spread=0).begin().row(key("production", "1x3x64x64", "infer", "same"), seconds).end()
from pathlib import Path
stream.write(Path(sys.argv[sys.argv.index("--out") + 1]))
"""


@pytest.fixture
def sides(tmp_path):
    program = tmp_path / "bench"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    env = {**os.environ, "STARTS": str(tmp_path / "starts"), "PYTHONPATH": str(ROOT)}
    environments = {"base": dict(env), "head": dict(env)}
    run = Run({"base": program, "head": program}, environments, [], {"base": ["base"], "head": ["head"]})
    files = {side: tmp_path / f"{side}.jsonl" for side in ("base", "head")}
    return run, files, tmp_path


def starts(folder):
    return (folder / "starts").read_text().split()


def test_pairs_in_random_order(sides):
    run, files, folder = sides
    assert run_pairs(run, files, 12, folder / "scratch")
    order = starts(folder)
    firsts = order[::2]
    assert sorted(order) == ["base"] * 12 + ["head"] * 12
    assert all({a, b} == {"base", "head"} for a, b in zip(order[::2], order[1::2]))
    assert 0 < firsts.count("base") < 12
    gate = judge(*(read_side(files[side]) for side in ("base", "head")))
    assert [(r.verdict, r.pairs) for r in gate.rows] == [("SLOW", 12)] and gate.status() == 1


def test_a_stop_costs_the_process_that_ran(sides):
    run, files, folder = sides
    for env in run.environments.values():
        env["FAIL_AT_6"] = "130"
    assert run_pairs(run, files, 5, folder / "scratch") is False
    assert finished(files["base"]) & finished(files["head"]) == {1, 2}
    assert len(starts(folder)) == 6
    assert run_pairs(run, files, 5, folder / "scratch")
    assert len(starts(folder)) == 11  # five of the first call were kept, one was lost
    assert finished(files["base"]) == finished(files["head"]) == {1, 2, 3, 4, 5}
    assert read_side(files["head"]).processes == [1, 2, 3, 4, 5]


def test_a_failing_side_is_named(sides):
    run, files, folder = sides
    run.environments["head"]["FAIL_AT_1"] = run.environments["base"]["FAIL_AT_1"] = "2"
    with pytest.raises(Stop) as stopped:
        run_pairs(run, files, 3, folder / "scratch")
    assert stopped.value.status == 2 and "ended with status 2" in str(stopped.value)


def suite_gate(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "frontdoor" / "main.py"), "gate", *map(str, arguments)],
                          capture_output=True, text=True, timeout=300)  # fmt: skip


def test_two_result_files_from_outside(sides):
    run, files, folder = sides
    run_pairs(run, files, 4, folder / "scratch")
    done = suite_gate(files["base"], files["head"])
    assert done.returncode == 1, done.stderr
    assert "gate FAILED: 1 SLOW (floor 3 %" in done.stdout and "+20.00 %" in done.stdout
    assert suite_gate(files["base"], files["base"]).returncode == 0
    assert suite_gate(files["base"], files["head"], "--filter", "production:infer").returncode == 1
    nothing = suite_gate(files["base"], files["head"], "--filter", ":train:")
    assert nothing.returncode == 2 and "--filter ':train:' matches none" in nothing.stderr
    (folder / "broken.jsonl").write_text("{}\n")
    broken = suite_gate(files["base"], folder / "broken.jsonl")
    assert broken.returncode == 2 and "damaged in line 1" in broken.stderr


def test_stored_result_file_of_a_report_against_itself():
    """Of the benchmark as it wrote it, one process: what has converged is not SLOW, and nothing crashes."""
    stored = ROOT / "reports" / "testdata" / "smoke.jsonl"
    done = suite_gate(stored, stored)
    assert done.returncode == 0 and "one process each" in done.stdout and "SLOW" not in done.stdout, done.stdout


def test_pack_makes_the_sources_of_a_commit(tmp_path):
    if subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True).returncode:
        pytest.skip("there is no history here")
    folder = tmp_path / "base"
    done = suite_gate("--pack", "HEAD", "--to", folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "suite").exists() and (folder / "kernels" / "meson.build").exists()
    tree = trees.find("gate", str(folder))
    assert tree.commit == (folder / trees.PACKED).read_text().strip() and len(tree.commit) == 40
    assert trees.TREES in tree.build.parents  # nothing is built inside a folder that was given
    again = suite_gate("--pack", "HEAD", "--to", folder)
    assert again.returncode == 2 and "exists already" in again.stderr


def test_records_keep_the_number_of_their_pair(sides):
    run, files, folder = sides
    run_pairs(run, files, 2, folder / "scratch")
    lines = [json.loads(line) for line in files["base"].read_text().splitlines()]
    assert {line["process"] for line in lines} == {1, 2} and "samples" not in {line["type"] for line in lines}


def test_more_sides_make_more_processes_a_pair(sides):
    run, files, folder = sides
    for table in (run.programs, run.environments):
        table["planted"] = table["head"]
    run.further["planted"] = ["head"]
    files["planted"] = folder / "planted.jsonl"
    assert run_pairs(run, files, 4, folder / "scratch")
    assert starts(folder).count("base") == 4 and starts(folder).count("head") == 8
    assert all(sorted(trio) == ["base", "head", "head"] for trio in zip(*[iter(starts(folder))] * 3))
    assert read_side(files["planted"]).processes == [1, 2, 3, 4]
