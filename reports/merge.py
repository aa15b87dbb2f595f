# SPDX-License-Identifier: MIT
"""One result file from those of several processes that measured parts of a set, each on a device of its own.

Processes are numbered anew; every row says on which device it was measured ("unit"). The rows of one problem must come
from one file: times of different devices are never compared.
"""

from __future__ import annotations

import json
from pathlib import Path

from frontdoor.place import write_whole
from reports.stream import Damaged, read

SAME = ("device", "device_name", "driver", "cuda", "libtorch", "compiler", "flags", "commit", "dirty", "binary")


def _check(parts: dict[Path, str]) -> list[Path]:
    """The files in the order in which they are merged: those that did not reach their end last."""
    known = {path: read(path) for path in parts}
    first, *others = known.items()
    problems: dict[tuple, Path] = {}
    for path, run in known.items():
        if run.set_name != first[1].set_name:
            raise Damaged(f"{first[0]} is of set {first[1].set_name} and {path} of set {run.set_name}")
        for settings, key in [*run.rows, *run.samples]:
            other = problems.setdefault((settings, *key.problem), path)
            if other != path:
                raise Damaged(f"{other} and {path} both have {key.text()}; each problem belongs into one file")
    for path, run in others:
        for field in SAME:
            was, present = first[1].environment.get(field), run.environment.get(field)
            if was != present:
                raise Damaged(f"{first[0]} and {path} do not belong into one report: {field} is {was} and {present}")
    return sorted(known, key=lambda path: known[path].interrupted)


def merge(parts: dict[Path, str], user_filter: str, out: Path) -> None:
    """Writes `out` from result files; parts: file -> where it was measured, "GPU 3 of node7, rank 3",
    to which the device's name is added.

    Raises Damaged where the files are not parts of one run, or one of them cannot be read as a result file.
    """
    order = _check(parts)
    units = {path: f"{read(path).environment.get('device_name')}, {where}" for path, where in parts.items()}
    lines, offset = [], 0
    for path in order:
        last = 0
        for line in path.read_text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # the line that was being written
            record = json.loads(line)
            if "process" in record:
                last = max(last, record["process"])
                record["process"] += offset
            if record["type"] == "run":
                record["filter"] = user_filter
                record["environment"]["devices"] = "; ".join(units.values())
            elif record["type"] == "row":
                record["unit"] = units[path]
            lines.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
        offset += last
    write_whole(out, "\n".join(lines) + "\n")
