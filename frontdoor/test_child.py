# SPDX-License-Identifier: MIT
"""What the front door starts ends with it: Ctrl-C is passed on once, and a killed front door leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frontdoor import commit
from frontdoor.child import Child, run_in_turns

ROOT = Path(__file__).resolve().parent.parent

CHILD = """
import signal, sys, time
count = []
def told(number, frame):
    count.append(number)
for n in (signal.SIGINT, signal.SIGTERM):
    signal.signal(n, told)
print("ready", flush=True)
deadline = time.monotonic() + 30
while not count and time.monotonic() < deadline:
    time.sleep(0.02)
time.sleep(0.3)
print("told", *count, flush=True)
sys.exit(130 if count else 9)
"""

PARENT = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from frontdoor.child import run_child
sys.exit(run_child([sys.executable, "-c", {child!r}], dict(os.environ), Path({log!r})))
"""


def start(log: Path) -> subprocess.Popen:
    parent = subprocess.Popen([sys.executable, "-c", PARENT.format(root=str(ROOT), child=CHILD, log=str(log))])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (log.exists() and "ready" in log.read_text()):
        time.sleep(0.02)
    return parent


def wait_for(log: Path, text: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if text in log.read_text():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_once(tmp_path, number):
    parent = start(tmp_path / "log")
    parent.send_signal(number)
    assert parent.wait(timeout=30) == 130
    assert f"told {int(number)}\n" in (tmp_path / "log").read_text()


def test_nothing_outlives_a_killed_front_door(tmp_path):
    parent = start(tmp_path / "log")
    parent.kill()
    parent.wait(timeout=30)
    assert wait_for(tmp_path / "log", f"told {int(signal.SIGTERM)}\n")


def test_exit_status_and_output(tmp_path):
    from frontdoor.child import run_child

    command = [sys.executable, "-c", "print('hello'); raise SystemExit(3)"]
    assert run_child(command, dict(os.environ), tmp_path / "log") == 3
    assert (tmp_path / "log").read_text() == "hello\n"


@pytest.mark.parametrize(
    "given, expected", [("abc", ("abc", False)), ("abc-dirty", ("abc", True)), (None, (None, None))]
)
def test_commit_without_git(tmp_path, monkeypatch, given, expected):
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    monkeypatch.delenv("SUITE_COMMIT", raising=False)
    if given:
        monkeypatch.setenv("SUITE_COMMIT", given)
    assert commit.identify.__wrapped__() == expected


def test_commit_inside_another_checkout_is_not_ours(tmp_path, monkeypatch):
    if subprocess.run(["git", "init", "-q", str(tmp_path)]).returncode:
        pytest.skip("no git")
    (tmp_path / "copy").mkdir()
    monkeypatch.setattr(commit, "ROOT", tmp_path / "copy")
    monkeypatch.setenv("SUITE_COMMIT", "abc")
    assert commit.identify.__wrapped__() == ("abc", False)


TAKES_TURNS = """
import os, sys, time
name, turns, log = sys.argv[1], int(sys.argv[2]), sys.argv[3]
go, waits = (int(n) for n in sys.argv[sys.argv.index("--turns") + 1].split(","))
def turn():
    os.write(waits, b"w")
    return os.read(go, 1)
turn()
for number in range(turns):
    with open(log, "a") as out: out.write(f"{name} begins\\n")
    time.sleep(0.01)
    with open(log, "a") as out: out.write(f"{name} ends\\n")
    turn()
sys.exit(int(sys.argv[4]))
"""


def in_turns(folder: Path, children: list[tuple[str, int, int]]) -> tuple[list[int], list[str]]:
    """Of (name, turns, exit status): the statuses, and who had each turn."""
    log = folder / "turns"
    log.touch()
    given = [Child([sys.executable, "-c", TAKES_TURNS, name, str(turns), str(log), str(status)], dict(os.environ),
                   folder / f"{name}.log", folder / f"{name}.err") for name, turns, status in children]  # fmt: skip
    statuses = run_in_turns(given)
    lines = log.read_text().split("\n")[:-1]
    begins, ends = lines[::2], lines[1::2]
    assert [line.split()[0] for line in begins] == [line.split()[0] for line in ends]  # never two at once
    assert {line.split()[1] for line in begins} <= {"begins"} and {line.split()[1] for line in ends} <= {"ends"}
    return statuses, [line.split()[0] for line in begins]


def test_children_in_turns(tmp_path):
    statuses, order = in_turns(tmp_path, [("base", 5, 0), ("head", 5, 1)])
    assert statuses == [0, 1] and order == ["base", "head"] * 5


def test_one_that_ends_leaves_the_turns_to_the_others(tmp_path):
    statuses, order = in_turns(tmp_path, [("a", 2, 0), ("b", 4, 0), ("c", 1, 0)])
    assert statuses == [0, 0, 0] and order == ["a", "b", "c", "a", "b", "b", "b"]


def test_one_that_fails_before_its_first_turn(tmp_path):
    broken = Child([sys.executable, "-c", "import sys; sys.exit(2)"], dict(os.environ), tmp_path / "l", tmp_path / "e")
    whole = Child([sys.executable, "-c", TAKES_TURNS, "whole", "2", str(tmp_path / "t"), "0"], dict(os.environ),
                  tmp_path / "m", tmp_path / "f")  # fmt: skip
    assert run_in_turns([broken, whole]) == [2, 0]
    assert (tmp_path / "t").read_text().count("ends") == 2


def test_a_signal_ends_all_that_take_turns(tmp_path):
    script = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from frontdoor.child import Child, run_in_turns
folder = Path({folder!r})
children = [Child([sys.executable, "-c", {program!r}, name, "100000", str(folder / "turns"), "0"], dict(os.environ),
                  folder / (name + ".log"), folder / (name + ".err")) for name in ("a", "b")]
print(run_in_turns(children), flush=True)
"""
    code = script.format(root=str(ROOT), folder=str(tmp_path), program=TAKES_TURNS)
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    log = tmp_path / "turns"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (log.exists() and "b ends" in log.read_text()):
        time.sleep(0.02)
    parent.send_signal(signal.SIGTERM)
    out, _ = parent.communicate(timeout=30)
    assert out.strip() == "[130, 130]"
