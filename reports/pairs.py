# SPDX-License-Identifier: MIT
"""Result files read process by process: what the gate compares.

One file holds one side: every process that timed it, numbered by its pair. A result file of a report is a side with
one process. Rows as they come (settings `stock`) are passed over.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from reports.stream import Damaged, Key, check_schema, check_times, key_of


@dataclass
class Side:
    """rows: key -> {process: row record}. skipped: key -> {process: reason}. environments: process -> environment."""

    path: str = ""
    environments: dict[int, dict] = field(default_factory=dict)
    rows: dict[Key, dict[int, dict]] = field(default_factory=dict)
    skipped: dict[Key, dict[int, str]] = field(default_factory=dict)

    @property
    def processes(self) -> list[int]:
        return sorted(self.environments)

    def keep(self, pattern: str) -> None:
        """Drops rows whose key the regular expression is not found in."""
        self.rows = {key: of_key for key, of_key in self.rows.items() if re.search(pattern, key.text())}
        self.skipped = {key: why for key, why in self.skipped.items() if re.search(pattern, key.text())}

    @property
    def environment(self) -> dict:
        return self.environments[self.processes[0]] if self.environments else {}


def read_side(path: Path | str) -> Side:
    """Raises OSError, and Damaged where it is no result file. A last line without its newline is passed over."""
    side = Side(str(path))
    settings: dict[int, str] = {}
    lines = Path(path).read_bytes().split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            kind = record["type"]
            process = int(record["process"])
            if kind == "run":
                check_schema(record)
                settings[process] = record["settings"]
                if record["settings"] == "best":
                    side.environments[process] = record["environment"]
            elif process not in settings:
                raise Damaged(f"{path} is damaged in line {number}: process {process} has no run record")
            elif settings[process] != "best":
                continue
            elif kind == "row":
                check_times(record)
                side.rows.setdefault(key_of(record), {})[process] = record
            elif kind == "skipped":
                side.skipped.setdefault(key_of(record), {})[process] = str(record["reason"])
        except Damaged:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"{path} is damaged in line {number}: {type(error).__name__}: {error}") from None
    if not side.environments:
        raise Damaged(f"{path} holds no run with settings best")
    return side
