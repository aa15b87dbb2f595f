# SPDX-License-Identifier: MIT
"""Where things lie, and how the front door speaks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STATE = BUILD / "suite"  # what the front door remembers; safe to delete
VENV = ROOT / ".venv"

GOOD, WRONG, MISUSE, CANNOT = 0, 1, 2, 77


class Stop(Exception):
    """Ends the command with a message on stderr and this exit status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def say(message: str) -> None:
    print(f"suite: {message}", flush=True)


def warn(message: str) -> None:
    print(f"suite: {message}", file=sys.stderr, flush=True)


def relative(path: os.PathLike | str) -> str:
    """path as seen from where the user stands, when that is shorter."""
    path = os.fspath(path)
    try:
        shorter = os.path.relpath(path)
    except ValueError:
        return path
    return shorter if len(shorter) < len(path) else path


def write_whole(path: Path, text: str) -> None:
    """In the place of what is there, or not at all. Raises OSError."""
    part = path.with_suffix(".part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def check_writable(flag: str, given: Path, folder: Path | None = None) -> None:
    """Makes folder (`given`, if there is none) and leaves nothing in it. Raises Stop where nothing can be written
    there, or to the file `given`: said before anything is built and timed. flag: the command and its flag, for the
    message."""
    folder = folder or given
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own, for the processes of a sharded run try the same folder at the same time.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-") as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
        if given.is_file():
            given.open("a").close()
    except OSError as error:
        raise Stop(MISUSE, f"{flag} {given} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def own_folder(name: str, state: Path | None = None):
    """build/suite/NAME for what this run alone writes, or where another run is using that, one beside it: two cards may
    be worked at from one checkout, and `./suite check` runs the programs of `test` inside a test."""
    number = 1
    while True:
        folder = (state or STATE) / (name if number == 1 else f"{name}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                number += 1
                continue
            yield folder
            return
