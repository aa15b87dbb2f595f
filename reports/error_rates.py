# SPDX-License-Identifier: MIT
"""How often the gate errs: gate.jsonl, one line a run of `./suite gate --error-rates`, and what it comes to.

aa:      one binary against itself; an error is any row SLOW.
planted: one binary against itself, but HEAD spins inside the timed region of one randomly chosen row, for a given part
         of that row's median; an error is that row not SLOW, or another row SLOW.
Fields: `spinning` is that row, which spins for no time on both sides of aa; `run` counts both kinds together.
Limits are Clopper and Pearson's, 95 %. Only runs of one device, set, filter, number of threads, pairs and planted part
are counted together; those of several commits are, and the commits are listed.
"""

from __future__ import annotations

import json
from pathlib import Path

from scipy import stats

from reports import fields
from reports.fields import COUNT, LIST, NUMBER, RECORD, TEXT, TRUTH

FILE = "gate.jsonl"
ABOUT = ("device_name", "kind", "pairs", "fraction", "set", "filter", "threads")  # what runs counted together share


def limits(events: int, runs: int, coverage: float = 0.95) -> tuple[float, float]:
    """Exact interval of a probability of which `events` of `runs` were seen."""
    tail = (1 - coverage) / 2
    low = 0.0 if events == 0 else float(stats.beta.ppf(tail, events, runs - events + 1))
    high = 1.0 if events == runs else float(stats.beta.ppf(1 - tail, events + 1, runs - events))
    return low, high


def read(path: Path) -> list[dict]:
    """Lines of the file; a last one without newline is passed over. Raises OSError, ValueError with line and field."""
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            records.append(_checked(json.loads(line)))
        except ValueError as error:
            raise ValueError(f"{path} is damaged in line {number}: {error}") from None
    return records


def _checked(record) -> dict:
    fields.require(record, {"kind": TEXT, "device_name?": TEXT, "pairs": COUNT, "set": TEXT, "filter": TEXT,
                            "threads?": COUNT, "commit?": TEXT, "false_slow": LIST, "rows": RECORD})  # fmt: skip
    if record["kind"] not in ("aa", "planted"):
        raise ValueError(f"field kind is {record['kind']!r}, must be aa or planted")
    if record["kind"] == "planted":
        fields.require(record, {"fraction": NUMBER, "found": TRUTH})
    return record


def append(path: Path, record: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(json.dumps(record) + "\n")


def summarize(records: list[dict]) -> list[dict]:
    """One entry for all runs that share ABOUT, in the order of the file."""
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault(tuple(record.get(f) for f in ABOUT), []).append(record)
    entries = []
    for about, runs in groups.items():
        kind = runs[0]["kind"]
        good = sum(bool(r["found"]) for r in runs) if kind == "planted" else sum(not r["false_slow"] for r in runs)
        false = sum(bool(r["false_slow"]) for r in runs)
        entries.append(
            {**dict(zip(ABOUT, about)), "runs": len(runs), "good": good, "limits": limits(good, len(runs)),
             "false": false, "rows": sum(len(r["rows"]) for r in runs),
             "commits": sorted({str(r.get("commit"))[:12] for r in runs})}
        )  # fmt: skip
    return entries


def sentences(records: list[dict]) -> list[str]:
    lines = []
    for e in summarize(records):
        low, high = (100 * x for x in e["limits"])
        where = f"{e['device_name']}, set {e['set']}"
        where += f" with filter '{e['filter']}'" if e["filter"] else ""
        where += f", {e['threads']} thread{'' if e['threads'] == 1 else 's'}" if e["threads"] else ""
        where += f", {e['pairs']} pairs"
        if e["kind"] == "aa":
            lines.append(
                f"A/A on {where}: no row SLOW in {e['good']} of {e['runs']} gates "
                f"(95 % limits {low:.3g} % to {high:.3g} %), {e['rows']} rows judged; commits {', '.join(e['commits'])}"
            )
        else:
            lines.append(
                f"planted slow-down of {100 * e['fraction']:.3g} % on {where}: "
                f"found in {e['good']} of {e['runs']} gates (95 % limits {low:.3g} % to {high:.3g} %), "
                f"another row SLOW in {e['false']}; commits {', '.join(e['commits'])}"
            )
    return lines
