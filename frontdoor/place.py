# SPDX-License-Identifier: MIT
"""Where things lie, and how the front door speaks."""

from __future__ import annotations

import os
import sys
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
