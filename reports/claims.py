# SPDX-License-Identifier: MIT
"""Judges claims. They are data (claims.json): who against whom, on which problems, in which range.

Verdicts: the interval lies inside the range CONFIRMED, wholly above EXCEEDED, wholly below NOT CONFIRMED, else
AMBIGUOUS; not in this run NOT MEASURED. A range without an upper end is a goal: reached or not.
"""

from __future__ import annotations

import json
from pathlib import Path

from reports import quote
from reports.stream import Key, Run

HERE = Path(__file__).resolve().parent
VERDICTS = ("CONFIRMED", "EXCEEDED", "NOT CONFIRMED", "AMBIGUOUS", "NOT MEASURED")
KEY_FIELDS = Key._fields[1:]


def verdict(low: float | None, high: float | None, allowed: list[float | None]) -> str:
    """Of an interval against [least, most]; most None = no upper end. The ends belong to the range."""
    if low is None or high is None:
        return "AMBIGUOUS"
    least, most = allowed
    if high < least:
        return "NOT CONFIRMED"
    if most is not None and low > most:
        return "EXCEEDED"
    if low >= least and (most is None or high <= most):
        return "CONFIRMED"
    return "AMBIGUOUS"


def load(path: Path = HERE / "claims.json") -> dict:
    return json.loads(path.read_text())


def load_stand_in(path: Path = HERE / "stand_in.json") -> dict:
    return json.loads(path.read_text())


def _shape(text: str) -> tuple[int, int, int, int]:
    batch, channels, height, width = (int(part) for part in text.split("x"))
    return batch, channels, height, width


def widen(
    low: float, high: float, stand_in: dict, name: str, key: Key, inverse: bool = False
) -> tuple[float, float, str]:
    """The interval that covers the stand-in and what it stands for, and what to say about it.

    stand_in.json has time of the stand-in / time of the package, with its own interval. inverse: the stand-in is the
    baseline of the ratio, not its subject.
    """
    wanted = {"stand_in": name, "mode": key.mode, "padding": key.padding}
    for entry in stand_in["entries"]:
        if all(entry[f] == v for f, v in wanted.items()) and _shape(entry["shape"]) == tuple(key[4:8]):
            text = (
                f"{name} stands in for {stand_in['package']}; interval widened by their measured ratio "
                f"{entry['ratio']:.3f} ({entry['source']})"
            )
            ends = (1 / entry["high"], 1 / entry["low"]) if inverse else (entry["low"], entry["high"])
            return min(low, low * ends[0]), max(high, high * ends[1]), text
    return low, high, f"{name} stands in for {stand_in['package']}; their ratio has not been measured on this problem"


def _missing(run: Run, key: Key) -> str:
    """Why this run has no figure of a row."""
    for settings in ("best", "stock"):
        record = run.rows.get((settings, key))
        if record and record.get("error"):
            return f"{key.name}: {record['error']}"
        if (settings, key) in run.skipped:
            return f"{key.name}: {run.skipped[settings, key]}"
    return f"{key.name} was not measured in this run"


def judge(run: Run, ratios: list[dict], spec: dict, stand_in: dict, peers: dict | None = None) -> list[dict]:
    """One entry for every problem that a claim names. With the packages' own times (peers.json) of the same device, a
    claim about a package is judged on these, and its stand-in is not asked."""
    packages = _of_packages(run, peers)
    known = {(r["subject"], r["baseline"], *(r[f] for f in KEY_FIELDS)): r for r in ratios}
    judged = []
    for claim in spec["claims"]:
        keys = [
            Key("", claim["device"], claim["mode"], claim["padding"], *_shape(shape), clock)
            for shape, clock in claim["problems"]
        ]
        for key in sorted(keys, key=lambda k: (k.elements, k)):
            on_package = _judge_on_package(claim, key, packages)
            judged.append(on_package or _judge_one(run, claim, key, known, stand_in))
    return judged


def _of_packages(run: Run, peers: dict | None) -> dict[tuple, dict]:
    """(subject, baseline, problem) -> ratio, where the packages ran on the device of this run."""
    if not peers or peers["environment"].get("device_name") != run.environment.get("device_name"):
        return {}
    return {(r["subject"], r["baseline"], *(r[f] for f in KEY_FIELDS)): r for r in peers["ratios"]}


def _judge_on_package(claim: dict, key: Key, packages: dict[tuple, dict]) -> dict | None:
    if not claim.get("stand_in"):
        return None
    names = {"pytorch_mssim": "pytorch_msssim (package)"}
    subject, baseline = "fused_ssim (package)", names.get(claim["baseline"], claim["baseline"])
    found = packages.get((subject, baseline, *(getattr(key, f) for f in KEY_FIELDS)))
    if found is None or found["low"] is None:
        return None
    notes = ["judged on the packages themselves, called through Python in one process"]
    notes += [claim["note"]] if claim.get("note") else []
    entry = {"name": claim["name"], "subject": claim["subject"], "baseline": claim["baseline"]}
    entry |= {f: getattr(key, f) for f in KEY_FIELDS}
    entry |= {"range": claim["range"], "ratio": found["ratio"], "low": found["low"], "high": found["high"]}
    entry |= {"verdict": verdict(found["low"], found["high"], claim["range"]), "measured_on": subject}
    return entry | {"note": "; ".join(notes), "notes": notes}


def _judge_one(run: Run, claim: dict, key: Key, known: dict, stand_in: dict) -> dict:
    entry = {"name": claim["name"], "subject": claim["subject"], "baseline": claim["baseline"]}
    entry |= {f: getattr(key, f) for f in KEY_FIELDS}
    entry |= {"range": claim["range"], "ratio": None, "low": None, "high": None}
    problem = tuple(getattr(key, f) for f in KEY_FIELDS)
    found = known.get((claim["subject"], claim["baseline"], *problem))
    notes = [claim["note"]] if claim.get("note") else []
    stock = known.get((claim["subject"], claim["baseline"] + quote.STOCK, *problem))
    if found is not None and quote.harder(found, stock) is stock:
        found = stock
        notes.append("the baseline is faster as it comes than with cudnn.benchmark, so that is what counts here")
    if found is None:
        there = any(k.problem == key.problem for _, k in [*run.rows, *run.skipped])
        reasons = [] if there else ["not in this run"]
        reasons += [
            _missing(run, key._replace(name=name))
            for name in (claim["subject"], claim["baseline"])
            if there and not run.rows.get(("best", key._replace(name=name)), {}).get("seconds")
        ]
        entry["verdict"] = "NOT MEASURED"
        notes.append("; ".join(reasons) or "no round that both rows share")
    else:
        low, high = found["low"], found["high"]
        if claim.get("stand_in") and low is not None:
            low, high, text = widen(low, high, stand_in, claim["subject"], key)
            notes.append(text)
        if claim.get("baseline_stand_in") and low is not None:
            low, high, text = widen(low, high, stand_in, claim["baseline"], key, inverse=True)
            notes.append(text)
        entry |= {"ratio": found["ratio"], "low": low, "high": high}
        entry["verdict"] = verdict(low, high, claim["range"])
        if low is None:
            notes.append("one round only: no interval")
        if not found["converged"]:
            notes.append("a row of it did not converge")
    entry["note"] = "; ".join(notes)
    entry["notes"] = notes
    return entry


def headline(claims: list[dict]) -> list[str]:
    """One line a claim: its verdict where they agree, else how many of each; unmeasured ones share the last."""
    lines, unmeasured = [], []
    for name in dict.fromkeys(c["name"] for c in claims):
        of_name = [c for c in claims if c["name"] == name]
        measured = [c for c in of_name if c["verdict"] != "NOT MEASURED"]
        if not measured:
            unmeasured.append(name)
            continue
        counts = {v: sum(c["verdict"] == v for c in measured) for v in VERDICTS}
        ratios = [c["ratio"] for c in measured]
        ends = list(dict.fromkeys(f"{r:.3g}×" for r in (min(ratios), max(ratios))))
        spread = " to ".join(ends)
        counted = ", ".join(
            f"{v}" if n == len(measured) else f"{v} on {n} of {len(measured)}" for v, n in counts.items() if n
        )
        lines.append(f"{name}: {counted} ({spread})")
    if unmeasured:
        lines.append(f"NOT MEASURED in this run: {'; '.join(unmeasured)}")
    return lines
