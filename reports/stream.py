# SPDX-License-Identifier: MIT
"""Reads the benchmark's result file: JSON lines, several processes appended one after another (bench/README.md)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Key(NamedTuple):
    """What identifies a figure."""

    name: str
    device: str
    mode: str
    padding: str
    batch: int
    channels: int
    height: int
    width: int
    clock: str

    @property
    def elements(self) -> int:
        return self.batch * self.channels * self.height * self.width

    @property
    def shape(self) -> str:
        return f"{self.batch}x{self.channels}x{self.height}x{self.width}"

    @property
    def problem(self) -> "Key":
        """The same without the row's name: what two rows must share to be compared."""
        return self._replace(name="")

    def text(self) -> str:
        return f"{self.device}:{self.name}:{self.mode}:{self.padding}:{self.shape}:{self.clock}"


class Damaged(ValueError):
    """The file is not a result file, or a line in its middle is broken."""


@dataclass
class Run:
    """One result file. Rows are known by (settings, key); the last record of a key counts."""

    runs: list[dict] = field(default_factory=list)
    ceilings: dict[str, dict] = field(default_factory=dict)
    rows: dict[tuple[str, Key], dict] = field(default_factory=dict)
    skipped: dict[tuple[str, Key], str] = field(default_factory=dict)
    # (settings, key) -> {(process, round): seconds of each call}
    samples: dict[tuple[str, Key], dict[tuple[int, int], list[float]]] = field(default_factory=dict)
    # By the published benchmark's own protocol: one record a key and settings, the last one.
    upstream: list[dict] = field(default_factory=list)
    interrupted: bool = False

    @property
    def environment(self) -> dict:
        best = [run for run in self.runs if run.get("settings") == "best"]
        return dict((best or self.runs)[-1].get("environment", {}))

    @property
    def set_name(self) -> str:
        return str(self.runs[-1].get("set", ""))

    def unfinished(self) -> list[tuple[str, Key]]:
        """What has samples but neither a row nor a reason: the run ended in its middle."""
        return [known for known in self.samples if known not in self.rows and known not in self.skipped]


def key_of(record: dict) -> Key:
    return Key(
        *(str(record[f]) for f in Key._fields[:4]), *(int(record[f]) for f in Key._fields[4:8]), str(record["clock"])
    )


def check_times(record: dict) -> None:
    """Raises KeyError or ValueError where a row that is right lacks a time, or has one that is none."""
    if record.get("error"):
        return
    times = [("seconds", record["seconds"])]
    times += [(name, record[name]) for name in ("ci_low", "ci_high") if record.get(name) is not None]
    times += [("round_seconds", value) for value in record.get("round_seconds") or []]
    for name, value in times:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"{name} is {value!r}, must be a finite number above 0")


def check_schema(record: dict) -> None:
    """Raises ValueError for the run record of another version of the file."""
    if record["schema"] != 1:
        raise ValueError(f"schema {record['schema']!r}, this program reads 1")


def read(path: Path | str) -> Run:
    """Raises OSError where the file cannot be read and Damaged where it is not what the benchmark writes.

    A last line without its newline is what a kill leaves behind, and is passed over.
    """
    raw = Path(path).read_bytes()
    lines = raw.split(b"\n")
    if lines and lines[-1] != b"":
        lines[-1] = b""
    run = Run()
    settings_of: dict[int, str] = {}
    ended: set[int] = set()
    upstream: dict[tuple[str, Key], dict] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            if number != len(lines):
                raise Damaged(f"{path} is damaged in line {number}: it is empty")
            continue
        try:
            record = json.loads(line)
            kind = record["type"]
            if not run.runs and kind != "run":
                raise Damaged(f"{path} is damaged in line {number}: it must begin with a run record")
            if kind == "run":
                check_schema(record)
                settings_of[int(record["process"])] = str(record["settings"])
                run.runs.append(record)
            elif kind == "ceilings":
                device = str(record.get("device", "cpu"))
                if settings_of.get(record.get("process")) != "stock" or device not in run.ceilings:
                    run.ceilings[device] = record
            elif kind == "samples":
                process = int(record["process"])
                known = run.samples.setdefault((settings_of[process], key_of(record)), {})
                seconds = [float(s) for s in record["seconds"]]
                if not all(0 < s < math.inf for s in seconds):
                    raise ValueError(f"seconds {seconds}: must be finite numbers above 0")
                known.setdefault((process, int(record["round"])), []).extend(seconds)
            elif kind == "row":
                check_times(record)
                where = (str(record["settings"]), key_of(record))
                run.rows[where] = record
                run.skipped.pop(where, None)
            elif kind == "skipped":
                where = (str(record.get("settings", "best")), key_of(record))
                if where not in run.rows:
                    run.skipped[where] = str(record["reason"])
            elif kind == "end":
                ended.add(int(record["process"]))
                run.interrupted = bool(record.get("interrupted"))
            elif kind == "upstream":
                upstream[str(record.get("settings", "best")), key_of(record)] = record
            elif kind != "calibration":
                raise Damaged(f"{path} is damaged in line {number}: unknown record type '{kind}'")
        except Damaged:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"{path} is damaged in line {number}: {type(error).__name__}: {error}") from None
    if not run.runs:
        raise Damaged(f"{path} holds no run")
    run.upstream = list(upstream.values())
    if int(run.runs[-1]["process"]) not in ended:
        run.interrupted = True
    return run
