# SPDX-License-Identifier: MIT
"""Two processes do not build in one folder at a time."""

import fcntl
import threading

from frontdoor import building


def test_the_second_waits_and_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(building, "STATE", tmp_path / "suite")
    entered = threading.Event()

    def second():
        with building.alone():
            entered.set()

    with building.alone():
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.5)
    assert entered.wait(10)
    thread.join()
    told = "".join(capfd.readouterr())
    assert told.count("another process is building here") == 1


def test_nobody_waits_for_one_that_has_ended(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(building, "STATE", tmp_path)
    with (tmp_path / "build.lock").open("w") as left:
        fcntl.flock(left, fcntl.LOCK_EX)
    with building.alone():
        pass
    assert not "".join(capfd.readouterr())
