# SPDX-License-Identifier: MIT
"""Runs a long program so that Ctrl-C and kill reach it once, and nothing outlives the front door."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

from frontdoor.place import CANNOT, GOOD, MISUSE, ROOT, WRONG, Stop, relative

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)


def run_child(
    command: list[str], environment: dict[str, str], log: Path, quiet: bool = False, errors: Path | None = None
) -> int:
    """stdout goes to `log`, stderr (the progress line) to ours unless quiet, or to the file `errors`. Exit status; 130
    after a signal of ours.

    The program has a session of its own: a terminal's Ctrl-C reaches us alone, and we pass it on: it comes once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out, (errors or Path(os.devnull)).open("wb") as unseen:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=unseen if quiet or errors else None,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        told = []

        def pass_on(number, _):
            told.append(number)
            process.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if told and status < 0:
        return 130
    return status if status >= 0 else 128 - status


def require_measured(status: int, command: str, out: Path, interrupted: str = "interrupted") -> None:
    """Raises Stop unless the benchmark that wrote to `out` for ./suite COMMAND came to its end, rows right or wrong."""
    if status == 130:
        flag = "" if out == ROOT / "reports" / "out" / command else f" --out {relative(out)}"
        raise Stop(130, f"{command}: {interrupted}; to go on from here: ./suite {command} --resume{flag}")
    if status not in (GOOD, WRONG):
        raise Stop(status if status in (MISUSE, CANNOT) else WRONG,
                   f"{command}: the benchmark ended with status {status}; what it had measured is kept")  # fmt: skip
