# SPDX-License-Identifier: MIT
"""Runs two builds in pairs of separately started processes, in random order within a pair, and keeps what they write.
More than two sides (BASE, HEAD, and a HEAD with a planted slow-down) make more processes a pair.

In turns the processes of a pair are there together and work one at a time, some hundredths of a second each, on a CPU
on the same cores: what a busy machine does to a core for seconds, or a card to itself, then meets all sides alike.

A side's file gets a process's records only when that process has ended well, all at once: a kill loses the process that
was running and nothing else. Process numbers in the file are those of the pairs.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from frontdoor.child import Child, run_child, run_in_turns
from frontdoor.place import CANNOT, GOOD, MISUSE, WRONG, Stop, write_whole

INTERRUPTED = 130


@dataclass
class Run:
    """What is run: for each side the program, its environment and its own further arguments."""

    programs: dict[str, Path]
    environments: dict[str, dict[str, str]]
    common: list[str]
    further: dict[str, list[str]] = field(default_factory=dict)
    seed: int = 1
    turns: bool = False  # the processes of a pair take turns; else one after the other
    cpus: frozenset[int] = frozenset()  # that they may run on; empty: all of ours


def _records(process_file: Path) -> list[dict] | None:
    """Of a process that ended its session; None of one that did not, whatever its exit status."""
    try:
        records = [json.loads(line) for line in process_file.read_bytes().split(b"\n")[:-1]]
    except (OSError, ValueError):
        return None
    return records if any(record["type"] == "end" for record in records) else None


def _append(records: list[dict], side_file: Path, pair: int) -> None:
    """All at once or not at all: the file with them takes the place of that without."""
    # Medians are in the rows, where processes take turns those of the rounds too.
    kept = [{**record, "process": pair} for record in records if record["type"] != "samples"]
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in kept)
    try:
        before = side_file.read_text() if side_file.exists() else ""
        write_whole(side_file, before + lines)
    except OSError as error:
        why = error.strerror or error
        raise Stop(WRONG, f"{side_file} cannot be written: {why}; the pairs in it are kept") from None


def finished(side_file: Path) -> set[int]:
    """The pairs that a side's file holds. Raises Stop where it is damaged."""
    if not side_file.exists():
        return set()
    try:
        records = [json.loads(line) for line in side_file.read_bytes().split(b"\n")[:-1]]
        return {record["process"] for record in records if record["type"] == "end"}
    except (ValueError, KeyError, TypeError) as error:
        raise Stop(MISUSE, f"{side_file} is damaged: {error}; begin anew without --resume") from None


def _out(scratch: Path, side: str) -> Path:
    return scratch / f"process-{side}.jsonl"


def _measure(run: Run, sides: list[str], scratch: Path) -> dict[str, list[dict]] | None:
    """What a process of each of these sides wrote, in turns. None when interrupted; raises Stop where one failed."""
    children = []
    for side in sides:
        _out(scratch, side).unlink(missing_ok=True)
        command = [str(run.programs[side]), *run.common, *run.further.get(side, []), "--out", str(_out(scratch, side))]
        log = scratch / f"{side}.log"
        children.append(Child(command, run.environments[side], log, log.with_suffix(".err"), run.cpus))
    try:
        if len(children) > 1:
            statuses = run_in_turns(children)
        else:
            only = children[0]
            statuses = [run_child(only.command, only.environment, only.log, errors=only.errors)]
    except KeyboardInterrupt:  # it came between two processes
        return None
    if INTERRUPTED in statuses:
        return None
    found = {}
    for side, child, status in zip(sides, children, statuses):
        # With status 1 a row was wrong, which its record says, or the process died of something.
        records = _records(_out(scratch, side)) if status in (GOOD, WRONG) else None
        if records is None:
            message = child.errors.read_text(errors="replace").strip().splitlines()
            raise Stop(status if status in (MISUSE, CANNOT) else WRONG,
                       f"{side.upper()}: {' '.join(child.command)}\nended with status {status}: "
                       + "\n".join(message[-6:]))  # fmt: skip
        found[side] = records
    return found


def run_pairs(run: Run, files: dict[str, Path], pairs: int, scratch: Path, what: str = "") -> bool:
    """Runs the pairs that the files, one a side, do not hold yet. False when interrupted."""
    from tqdm import tqdm

    scratch.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    done = {side: finished(path) for side, path in files.items()}
    left = [p for p in range(1, pairs + 1) if any(p not in d for d in done.values())]
    # On a terminal a bar; elsewhere a line a quarter.
    with tqdm(total=len(files) * pairs, initial=len(files) * (pairs - len(left)), disable=None, leave=False,
              desc=what or "pairs", unit="process") as bar:  # fmt: skip
        for position, pair in enumerate(left):
            order = [side for side in files if pair not in done[side]]
            random.Random(f"{run.seed} {pair}").shuffle(order)
            for together in [order] if run.turns else [[side] for side in order]:
                found = _measure(run, together, scratch)
                if found is None:
                    return False
                for side, records in found.items():
                    _append(records, files[side], pair)
                    bar.update(1)
            seconds = (time.monotonic() - begin) / (position + 1) * (len(left) - position - 1)
            if bar.disable and (position + 1) * 4 // len(left) != position * 4 // len(left) and seconds > 5:
                print(f"{what}pair {pair} of {pairs}, about {seconds:.0f} s left", file=sys.stderr, flush=True)
    return True
