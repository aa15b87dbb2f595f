# SPDX-License-Identifier: MIT
"""The test runner counts cases, never executables, and a crash never looks like a pass."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from frontdoor import testrun

XML = """<?xml version="1.0"?><testsuites><testsuite name="S">
<testcase name="good" classname="S" status="run" result="completed"/>
<testcase name="bad" classname="S" status="run" result="completed"><failure message="m">a.cpp:3
expected 1</failure></testcase>
<testcase name="left" classname="S" status="run" result="skipped">
<skipped message="a.cpp:7&#x0A;no CUDA device"/></testcase>
<testcase name="off" classname="S" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""


def fake(tmp_path: Path, script: str, suite: str = "host", timeout: float = 20) -> testrun.Test:
    """An executable that takes GoogleTest's flags; its body sees `out`, the path of the XML file, and `match`."""
    program = tmp_path / "fake"
    program.write_text(f"""#!{sys.executable}
import os, sys, time
out = next((a.split(":", 1)[1] for a in sys.argv if a.startswith("--gtest_output=xml:")), None)
match = sys.argv[sys.argv.index("--match") + 1] if "--match" in sys.argv else None
XML = {XML!r}
{script}
""")
    program.chmod(0o755)
    return testrun.Test("fake", [suite], [str(program)], {}, None, timeout, True)


def run(tmp_path: Path, test: testrun.Test, match: str | None = None) -> testrun.Outcome:
    return testrun.Runner(tmp_path, tmp_path, dict(os.environ), match).run(test)


def test_counts_cases(tmp_path):
    outcome = run(tmp_path, fake(tmp_path, "open(out, 'w').write(XML); sys.exit(1)"))
    assert (outcome.passed, outcome.failed, outcome.skipped) == (1, 1, 1)
    assert outcome.skips == {"no CUDA device": 1}
    assert "expected 1" in outcome.failures[0].message
    assert outcome.failures[0].repeat.endswith("--match '^S.bad$'")


def test_crash_fails(tmp_path):
    outcome = run(tmp_path, fake(tmp_path, "os.kill(os.getpid(), 11)"))
    assert (outcome.passed, outcome.failed) == (0, 1)
    assert "SIGSEGV" in outcome.failures[0].message


def test_crash_at_exit_fails_although_its_cases_passed(tmp_path):
    good = XML.split('<testcase name="bad"')[0] + "</testsuite></testsuites>"
    outcome = run(tmp_path, fake(tmp_path, f"open(out, 'w').write({good!r}); os.abort()"))
    assert (outcome.passed, outcome.failed) == (1, 1)


def test_no_results_fails(tmp_path):
    assert run(tmp_path, fake(tmp_path, "")).failed == 1


def test_timeout_fails(tmp_path):
    outcome = run(tmp_path, fake(tmp_path, "time.sleep(60)", timeout=0.5))
    assert outcome.failed == 1 and "stopped after" in outcome.failures[0].message and outcome.seconds < 20


def test_filter_that_matches_nothing_here_is_no_failure(tmp_path):
    says = "print(f\"fake: --match '{match}' finds no test; --list prints all names\"); sys.exit(2)"
    outcome = run(tmp_path, fake(tmp_path, says), match="x")
    assert outcome.cases == 0
    assert run(tmp_path, fake(tmp_path, says)).failed == 1  # it was asked for no match


@pytest.mark.parametrize("status", [0, 2, 5, 77])
def test_an_end_without_results_fails_with_a_filter_too(tmp_path, status):
    """A library under test that ends the process has not said that the program has no such case."""
    outcome = run(tmp_path, fake(tmp_path, f"print('seed 1'); os._exit({status})"), match="x")
    assert (outcome.passed, outcome.failed, outcome.skipped) == (0, 1, 0)
    assert f"exit status {status}, without results" in outcome.failures[0].message


def test_verdicts_of_cases(tmp_path):
    test = fake(tmp_path, "open(out, 'w').write(XML); sys.exit(1)")
    outcome = run(tmp_path, test)
    assert test.outcome is outcome
    assert [verdict[:2] for verdict in outcome.verdicts if verdict[1] != "missing"] == [
        ("S.good", "passed"), ("S.bad", "failed"), ("S.left", "skipped")]  # fmt: skip


@pytest.mark.parametrize("status, counts", [(0, (1, 0, 0)), (77, (0, 0, 1)), (1, (0, 1, 0)), (2, (0, 1, 0))])
def test_plain_programs_are_one_case(tmp_path, status, counts):
    outcome = run(tmp_path, fake(tmp_path, f"print('because'); sys.exit({status})", suite="budget"))
    assert (outcome.passed, outcome.failed, outcome.skipped) == counts
    if status == 77:
        assert outcome.skips == {"because": 1}


def test_pytest_files(tmp_path):
    script = tmp_path / "test_inner.py"
    script.write_text("""import pytest
def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.parametrize("n", [1, 2])
def test_skip(n): pytest.skip("not today")
""")
    root = Path(__file__).resolve().parent.parent
    test = testrun.Test(
        "inner",
        ["python"],
        [sys.executable, "-m", "pytest", "-q", "-p", "frontdoor.pytest_match", "-p", "no:cacheprovider", str(script)],
        {"PYTHONPATH": str(root)},
        None,
        60,
        True,
    )
    outcome = run(tmp_path, test)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (1, 1, 2)
    assert outcome.skips == {"not today": 2}
    assert outcome.failures[0].repeat.startswith("./suite python -m pytest ")
    assert outcome.failures[0].repeat.endswith("test_inner.py::test_bad")
    matched = run(tmp_path, test, match="test_good")
    assert (matched.passed, matched.failed, matched.skipped) == (1, 0, 0)
    assert run(tmp_path, test, match="nosuch").cases == 0
    script.write_text("import os\ndef test_ends(): os._exit(5)\n")
    assert run(tmp_path, test, match="test_ends").failed == 1


def test_all_skipped_is_77(tmp_path):
    script = tmp_path / "test_inner.py"
    script.write_text("import pytest\ndef test_skip(): pytest.skip('no')\n")
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "frontdoor.pytest_match", "-p", "no:cacheprovider", str(script)],
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    assert done.returncode == 77


def test_a_failure_is_told_at_once(tmp_path, monkeypatch, capfd):
    """Before the summary, which an interrupted run may never reach."""
    from frontdoor.commands import test as command

    own = command.own_folder
    monkeypatch.setattr(command, "own_folder", lambda name: own(name, tmp_path))
    bad = testrun.Test("bad", [], ["sh", "-c", "echo not this time; exit 3"], {}, None, 10, True)
    good = testrun.Test("good", [], ["sleep", "0.5"], {}, None, 10, False)
    args = argparse.Namespace(jobs=1, filter=None)
    assert command.run_tests(args, [bad, good], {**os.environ}, remember=False) == 1
    out = capfd.readouterr().out
    first = out.index("FAILED bad")
    assert "exit status 3" in out[first:] and "not this time" in out[first : out.index("good")]
    assert out.index("FAILED bad", first + 1) > out.index("good")


def test_two_runs_at_once_have_folders_of_their_own(tmp_path):
    """`./suite check` inside a test once took away the results of the same program in `./suite test` around it."""
    from frontdoor.place import own_folder

    with own_folder("tests", tmp_path) as one:
        with own_folder("tests", tmp_path) as two:
            assert (one.name, two.name) == ("tests", "tests-2")
        with own_folder("tests", tmp_path) as again:
            assert again == two
    with own_folder("tests", tmp_path) as free:
        assert free == one
