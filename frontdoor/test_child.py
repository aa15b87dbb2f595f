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
