# SPDX-License-Identifier: MIT
"""The commit that is built: from git where it is there, from SUITE_COMMIT otherwise."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache

from frontdoor.place import ROOT


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@lru_cache(maxsize=None)
def identify() -> tuple[str | None, bool | None]:
    """(commit, dirty); None where it is not known. A copy inside another project's checkout is not that project."""
    given = os.environ.get("SUITE_COMMIT")
    top = _git("rev-parse", "--show-toplevel")
    if top and os.path.realpath(top) == os.path.realpath(ROOT):
        head = _git("rev-parse", "HEAD")
        if head:
            return head, bool(_git("status", "--porcelain", "--untracked-files=no"))
    if given:
        return given.removesuffix("-dirty"), given.endswith("-dirty")
    return None, None


def label(commit: str | None, dirty: bool | None) -> str:
    """As files and reports name it: `-dirty` behind a commit with edits, `unknown` where there is none."""
    return f"{commit or 'unknown'}{'-dirty' if dirty else ''}"
