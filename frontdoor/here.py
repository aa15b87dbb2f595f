# SPDX-License-Identifier: MIT
"""For tests that run a command inside their own process: the interpreter that runs them, and the build as it is."""

from __future__ import annotations

import sys

from frontdoor.context import Context


class Here(Context):
    def __init__(self):
        super().__init__(None)

    @property
    def python(self) -> str:
        return sys.executable
