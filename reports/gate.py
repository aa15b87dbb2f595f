# SPDX-License-Identifier: MIT
"""Is HEAD slower than BASE? A verdict for each row, and whether its result changed.

The unit is the pair: two separately started processes, one of each build, in random order. Samples inside one process
are not independent of one another, so a row gives one number a pair, the log ratio of the two medians, and the verdict
is a t-interval over the pairs, at 1 - 0.01 / rows, so that all rows together are wrong in one gate of a hundred:

    wholly above the floor SLOW, wholly below it FAST, inside SAME, else AMBIGUOUS

Where the two took turns on the same cores (on a CPU), rounds that follow one another saw the same machine: the number
of a pair is then the median over the rounds of the log ratio of their medians.

The floor is 1 % on a GPU, 3 % on a CPU, or what two runs of one binary differ by here if that is more (./suite
calibrate). A row that did not converge in most of its pairs is AMBIGUOUS, and its note says where its interval lies all
the same. What one side lacks, be it in one pair, what is wrong, what ran on another device, driver, compiler or with
other flags is INCOMPARABLE; so is what both lack for want of time or memory.

Two result files with one process each have no pairs: the interval then comes from the spread between processes that
calibration measured here (or, without one, from an assumed spread, and says so), which is too wide for SAME.

Exit status: 1 if a row is SLOW, else 2 if one is INCOMPARABLE, else 0; also where every row is AMBIGUOUS, which the
verdict line calls UNDECIDED, and which --strict makes 1.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

from reports import skipped
from reports.pairs import Side
from reports.stream import Key

VERDICTS = ("SLOW", "FAST", "SAME", "AMBIGUOUS", "INCOMPARABLE")
LEAST_FLOOR = {"cuda": 0.01, "cpu": 0.03}
PAIRS = {"cuda": 12, "cpu": 15}
ASSUMED_SPREAD = {"cuda": 0.005, "cpu": 0.02}  # between processes, relative, where nothing was calibrated
LEAST_ROUNDS = 3  # of a pair of processes that take turns
ERROR = 0.01  # of all rows together
SAME_ENVIRONMENT = ("device", "device_name", "driver", "cuda", "libtorch", "compiler", "cuda_compiler", "flags",
                    "cuda_flags", "threads", "cpu", "offset_bytes", "library")  # fmt: skip


def t_interval(values: np.ndarray, coverage: float) -> tuple[float, float]:
    """Student's interval of the mean of two or more values."""
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} values have no t-interval, at least 2 are needed")
    half = stats.t.ppf((1 + coverage) / 2, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    centre = float(np.mean(values))
    return centre - half, centre + half


def classify(low: float, high: float, floor: float) -> str:
    """Of an interval of the log ratio HEAD / BASE."""
    edge = math.log1p(floor)
    if low > edge:
        return "SLOW"
    if high < -edge:
        return "FAST"
    return "SAME" if -edge <= low and high <= edge else "AMBIGUOUS"


@dataclass
class Row:
    key: Key
    verdict: str
    ratio: float | None = None  # HEAD's time / BASE's
    low: float | None = None
    high: float | None = None
    pairs: int = 0
    note: str = ""
    base_seconds: float | None = None


@dataclass
class Change:
    """A row whose result is not bitwise what it was."""

    key: Key
    text: str


@dataclass
class Gate:
    rows: list[Row]
    changes: list[Change]
    not_compared: dict[str, list[Key]]  # why the results of these rows were not compared
    floor: float
    notes: list[str] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        return sum(row.verdict == verdict for row in self.rows)

    def status(self, strict: bool = False) -> int:
        if self.count("SLOW"):
            return 1
        if self.count("INCOMPARABLE") or not self.rows:
            return 2
        return int(strict and self.count("AMBIGUOUS") > 0)


def floor_of(device: str, calibration: dict | None) -> float:
    return max(LEAST_FLOOR[device], (calibration or {}).get("reach") or 0.0)


def different_environment(base: Side, head: Side) -> str:
    """"" or which field differs, between the sides or within one."""
    first = base.environment
    for side in (base, head):
        for environment in side.environments.values():
            for name in SAME_ENVIRONMENT:
                if environment.get(name) != first.get(name):
                    was, now = first.get(name), environment.get(name)
                    return f"{name.replace('_', ' ')} differs: {was!r} and {now!r}"
    return ""


def _lacking(key: Key, side: Side, name: str) -> str:
    """Why a side has no figure of a row; "" if it has."""
    records = side.rows.get(key, {})
    for record in records.values():
        if record.get("error"):
            return f"wrong or failed in {name}: {str(record['error']).splitlines()[0]}"
    if not records:
        return f"missing in {name}" + "".join(f": {reason}" for reason in _reasons(side, key)[:1])
    return ""


def _reasons(side: Side, key: Key) -> list[str]:
    return list(side.skipped.get(key, {}).values())


def _is_one(key: Key, base: Side, head: Side) -> bool:
    """Whether the row belongs to this comparison: what neither side supports does not."""
    there = key in base.rows or key in head.rows
    return there or any(skipped.for_want(r) for side in (base, head) for r in _reasons(side, key))


def _lacking_pairs(key: Key, base: Side, head: Side) -> str:
    """Where a row is missing in some of the pairs that both sides ran."""
    pairs = set(base.processes) & set(head.processes)
    for side, name in ((base, "BASE"), (head, "HEAD")):
        missing = pairs - set(side.rows[key])
        if len(pairs) > 1 and missing:
            reasons = [side.skipped.get(key, {}).get(p, "") for p in sorted(missing)]
            why = next((f": {reason}" for reason in reasons if reason), "")
            return f"missing in {name} in {len(missing)} of {len(pairs)} pairs{why}"
    return ""


def _half_width(record: dict) -> float:
    low, high, middle = record.get("ci_low"), record.get("ci_high"), record["seconds"]
    return max(middle - low, high - middle) / middle if low is not None and high is not None else 0.0


def log_ratio(base: dict, head: dict) -> float:
    """HEAD / BASE, of two records of one pair."""
    rounds = [np.array(record.get("round_seconds") or [], dtype=np.float64) for record in (base, head)]
    both = min(map(len, rounds))
    if both == 0:
        return math.log(head["seconds"] / base["seconds"])
    return float(np.median(np.log(rounds[1][:both] / rounds[0][:both])))


def _settled(record: dict) -> bool:
    """Good enough for one pair. In turns a slow row may be out of time before it had all its rounds."""
    return bool(record.get("converged")) or len(record.get("round_seconds") or []) >= LEAST_ROUNDS


def _judge(key: Key, base: dict[int, dict], head: dict[int, dict], rows: int, floor: float, spread: float) -> Row:
    if len(base) == len(head) == 1:
        # One process each; a report that was resumed has it under another number.
        base, head = {1: next(iter(base.values()))}, {1: next(iter(head.values()))}
    shared = sorted(set(base) & set(head))
    if not shared:
        return Row(key, "INCOMPARABLE", note="no pair in which both sides have it")
    logs = np.array([log_ratio(base[p], head[p]) for p in shared])
    coverage = 1 - ERROR / rows
    unconverged = sum(not (_settled(base[p]) and _settled(head[p])) for p in shared)
    if len(shared) > 1:
        low, high = t_interval(logs, coverage)
        note = ""
    else:
        within = [_half_width(side[shared[0]]) / stats.norm.ppf(0.975) for side in (base, head)]
        half = stats.norm.ppf((1 + coverage) / 2) * math.hypot(math.sqrt(2) * spread, *within)
        low, high = float(logs[0]) - half, float(logs[0]) + half
        note = "one process each"
    row = Row(
        key,
        classify(low, high, floor),
        math.exp(float(np.mean(logs))),
        math.exp(low),
        math.exp(high),
        len(shared),
        note,
        float(np.median([base[p]["seconds"] for p in shared])),
    )
    if 2 * unconverged > len(shared):
        row.note = f"not converged in {unconverged} of {len(shared)} pairs"
        if row.verdict in ("SLOW", "FAST"):
            row.note += f", else {row.verdict}: measure it for longer"
        row.verdict = "AMBIGUOUS"
    return row


def _double(bits: str) -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0]


def _results(records: dict[int, dict]) -> list[dict]:
    """The distinct results of a side's processes."""
    found: dict[tuple, dict] = {}
    for record in records.values():
        result = record.get("result") or {}
        found[result.get("mean_bits"), result.get("gradient_bits")] = {**result, "verdict": record.get("verdict") or {}}
    return list(found.values())


def compare_results(base: dict[int, dict], head: dict[int, dict]) -> tuple[str, str]:
    """(the change, why it was not compared); both "" where all bits agree."""
    was, now = _results(base), _results(head)
    if any(not result.get("mean_bits") for result in (*was, *now)):
        return "", "a side's result file has no results in it"
    if len(was) > 1 or len(now) > 1:
        return "", "its result differs from process to process"
    old, new = was[0], now[0]
    parts = []
    if old["mean_bits"] != new["mean_bits"]:
        parts.append(f"mean by {abs(_double(new['mean_bits']) - _double(old['mean_bits'])):.3g}")
    if old.get("gradient_bits") != new.get("gradient_bits"):
        parts.append("gradient " + _gradient_change(old, new))
    return "; ".join(parts), ""


def _gradient_change(old: dict, new: dict) -> str:
    """How much at the elements that are kept, and what it can be at most, both in units of the gradient's RMS."""
    a, b = (np.array(r.get("gradient_probes") or [], dtype=np.float64) for r in (old, new))
    text = "by an unknown amount"
    if len(a) == len(b) > 0 and np.any(a):
        seen = float(np.max(np.abs(a - b)) / np.sqrt(np.mean(a**2)))
        looked = f"{len(a)} elements looked at"
        text = f"by {seen:.2g} RMS at the {looked}" if seen else f"at none of the {looked}"
    errors = [r["verdict"].get("gradient_error") for r in (old, new)]
    if None not in errors:
        # Both were held against the oracle on the same images, so the change is no larger than both errors together.
        text += f", nowhere by more than {sum(errors):.2g} RMS"
    return text


def judge(base: Side, head: Side, calibration: dict | None = None) -> Gate:
    device = base.environment.get("device", "cpu")
    floor = floor_of(device, calibration)
    spread = (calibration or {}).get("spread")
    keys = list(dict.fromkeys([*base.rows, *base.skipped, *head.rows, *head.skipped]))
    keys = [k for k in keys if _is_one(k, base, head)]
    other = different_environment(base, head)
    lacking = {
        k: other or _lacking(k, base, "BASE") or _lacking(k, head, "HEAD") or _lacking_pairs(k, base, head)
        for k in keys
    }
    comparable = [k for k in keys if not lacking[k]]
    gate = Gate([], [], {}, floor)
    for key in keys:
        if lacking[key]:
            gate.rows.append(Row(key, "INCOMPARABLE", note=lacking[key]))
            continue
        gate.rows.append(_judge(key, base.rows[key], head.rows[key], len(comparable), floor,
                                ASSUMED_SPREAD[device] if spread is None else spread))  # fmt: skip
        change, why = compare_results(base.rows[key], head.rows[key])
        if change:
            gate.changes.append(Change(key, change))
        if why:
            gate.not_compared.setdefault(why, []).append(key)
    if any(row.note == "one process each" for row in gate.rows):
        source = "an assumed" if spread is None else "a calibrated"
        value = ASSUMED_SPREAD[device] if spread is None else spread
        reach = 100 * math.expm1(stats.norm.ppf(1 - ERROR / len(comparable) / 2) * math.sqrt(2) * value)
        gate.notes.append(
            f"one process each: intervals come from {source} spread of {100 * value:.2g} % between processes, not from "
            f"pairs, so they reach {reach:.2g} % to either side at least: only a larger change shows, and SAME "
            + ("cannot" if reach > 100 * floor else "hardly")
            + " come out. To decide smaller ones: ./suite gate with the two revisions or source folders, which times "
            "them in pairs of processes" + ("; or ./suite calibrate first" if spread is None else "")
        )
    return gate


def _percent(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{100 * (ratio - 1):+.2f} %" if ratio < 10 else f"{ratio:.2g}×"


def table(gate: Gate) -> str:
    lines = [("row", "verdict", "HEAD - BASE", "interval", "pairs", "BASE", "")]
    order = {verdict: n for n, verdict in enumerate(("SLOW", "INCOMPARABLE", "AMBIGUOUS", "FAST", "SAME"))}
    for row in sorted(gate.rows, key=lambda r: order[r.verdict]):
        interval = "–" if row.low is None else f"{_percent(row.low)} to {_percent(row.high)}"
        time = "–" if row.base_seconds is None else f"{1e6 * row.base_seconds:.5g} us"
        lines.append((row.key.text(), row.verdict, _percent(row.ratio), interval, str(row.pairs), time, row.note))
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * max(map(len, text)))
    for change in gate.changes:
        text.append(f"changed: {change.key.text()}: {change.text}")
    for why, keys in gate.not_compared.items():
        text.append(f"results not compared, {why}: {', '.join(k.text() for k in keys)}")
    if gate.rows and not gate.changes and not gate.not_compared and gate.count("INCOMPARABLE") < len(gate.rows):
        text.append("results: every row gives the same bits")
    return "\n".join([*text, *gate.notes])


def verdict_line(gate: Gate, strict: bool = False) -> str:
    counts = ", ".join(f"{gate.count(v)} {v}" for v in VERDICTS if gate.count(v)) or "no rows"
    word = {0: "PASSED", 1: "FAILED", 2: "INCOMPARABLE"}[gate.status(strict)]
    if word == "PASSED" and gate.count("AMBIGUOUS") == len(gate.rows):
        word = "UNDECIDED"
    return f"gate {word}: {counts} (floor {100 * gate.floor:.2g} %, {len(gate.changes)} changed results)"


def as_data(gate: Gate) -> dict:
    return {
        "floor": gate.floor,
        "rows": [
            {"key": r.key.text(), "verdict": r.verdict, "ratio": r.ratio, "low": r.low, "high": r.high,
             "pairs": r.pairs, "note": r.note} for r in gate.rows
        ],
        "changes": [{"key": c.key.text(), "change": c.text} for c in gate.changes],
        "not_compared": {why: [k.text() for k in keys] for why, keys in gate.not_compared.items()},
        "notes": gate.notes,
    }  # fmt: skip
