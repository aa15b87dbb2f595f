# SPDX-License-Identifier: MIT
"""Runs a long program so that Ctrl-C and kill reach it once, and nothing outlives the front door."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from frontdoor.place import CANNOT, GOOD, MISUSE, ROOT, WRONG, Stop, relative

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)


def _start(command: list[str], environment: dict[str, str], out, errors, descriptors=(), cpus=None):
    def begin() -> None:
        _end_with_parent()
        if cpus:
            os.sched_setaffinity(0, cpus)

    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=errors,
        start_new_session=True,
        preexec_fn=begin,
        pass_fds=descriptors,
    )


@contextlib.contextmanager
def _passing_on(processes: list[subprocess.Popen]):
    """While it lasts SIGINT and SIGTERM go to the processes; the list of those that came."""
    told: list[int] = []

    def pass_on(number, _):
        told.append(number)
        for process in processes:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(process: subprocess.Popen, told: list[int]) -> int:
    if told and process.returncode < 0:
        return 130
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def run_child(
    command: list[str], environment: dict[str, str], log: Path, quiet: bool = False, errors: Path | None = None
) -> int:
    """stdout goes to `log`, stderr (the progress line) to ours unless quiet, or to the file `errors`. Exit status; 130
    after a signal of ours.

    The program has a session of its own: a terminal's Ctrl-C reaches us alone, and we pass it on: it comes once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out, (errors or Path(os.devnull)).open("wb") as unseen:
        process = _start(command, environment, out, unseen if quiet or errors else None)
        with _passing_on([process]) as told:
            process.wait()
    return _status(process, told)


@dataclass
class Child:
    """One of several that take turns: `command` gets `--turns IN,OUT` (bench/turns.hpp) added."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    errors: Path
    cpus: frozenset[int] = frozenset()  # that it may run on; empty: all of ours


def run_in_turns(children: list[Child]) -> list[int]:
    """Runs them together but never two at once: each when it has its turn, in this order, round after round, from its
    start to its end. Exit statuses as of run_child."""
    with contextlib.ExitStack() as opened:
        processes, ends = [], []
        told = opened.enter_context(_passing_on(processes))
        for child in children:
            child.log.parent.mkdir(parents=True, exist_ok=True)
            out, errors = (opened.enter_context(path.open("wb")) for path in (child.log, child.errors))
            (its_go, go), (waits, its_waits) = os.pipe(), os.pipe()
            command = [*child.command, "--turns", f"{its_go},{its_waits}"]
            try:
                processes.append(_start(command, child.environment, out, errors, (its_go, its_waits), child.cpus))
            finally:
                os.close(its_go)
                os.close(its_waits)
            for end in (go, waits):
                opened.callback(os.close, end)
            ends.append((go, waits))
        _give_turns(ends)
        for process in processes:
            process.wait()
    return [_status(process, told) for process in processes]


def _give_turns(ends: list[tuple[int, int]]) -> None:
    """Until all have ended. A process that has closes its ends."""
    left = [pair for pair in ends if os.read(pair[1], 1)]
    while left:
        for go, waits in tuple(left):
            try:
                os.write(go, b"g")
                gone = not os.read(waits, 1)
            except BrokenPipeError:
                gone = True
            if gone:
                left.remove((go, waits))


def require_measured(status: int, command: str, out: Path, interrupted: str = "interrupted") -> None:
    """Raises Stop unless the benchmark that wrote to `out` for ./suite COMMAND came to its end, rows right or wrong."""
    if status == 130:
        flag = "" if out == ROOT / "reports" / "out" / command else f" --out {relative(out)}"
        raise Stop(130, f"{command}: {interrupted}; to go on from here: ./suite {command} --resume{flag}")
    if status not in (GOOD, WRONG):
        raise Stop(status if status in (MISUSE, CANNOT) else WRONG,
                   f"{command}: the benchmark ended with status {status}; what it had measured is kept")  # fmt: skip
