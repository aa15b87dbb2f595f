# SPDX-License-Identifier: MIT
"""Judges claims. They are data (claims.json): who against whom, on which problems, in which range.

Verdicts: the interval lies inside the range CONFIRMED, wholly above EXCEEDED, wholly below NOT CONFIRMED, else
AMBIGUOUS; not in this run NOT MEASURED. A range without an upper end is a goal: reached or not.

A baseline counts at the setting that is hardest to beat (quote.py). A claim about a package that is judged on a
stand-in is AMBIGUOUS where how the two compare is not known.
"""

from __future__ import annotations

import json
from pathlib import Path

from reports import quote
from reports.stream import Key, Run

HERE = Path(__file__).resolve().parent
VERDICTS = ("CONFIRMED", "EXCEEDED", "NOT CONFIRMED", "AMBIGUOUS", "NOT MEASURED")
KEY_FIELDS = Key._fields[1:]
# In peers.json: what a claim's subject and baseline are there, the latter at each of its settings.
PACKAGE = "fused_ssim (package)"
PACKAGES = {
    "pytorch_mssim": {
        "pytorch_msssim (package)": "tuned",
        "pytorch_msssim with window (package)": "given a window on the device",
        "pytorch_msssim compiled (package)": "through torch.compile",
    }
}


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


def stand_in_ratio(stand_in: dict, name: str, key: Key) -> tuple[dict | None, str]:
    """stand_in.json's entry for a row on a problem, by a clock, and what to say of it; or None and why."""
    wanted = {"stand_in": name, "mode": key.mode, "padding": key.padding, "shape": key.shape, "clock": key.clock}
    for entry in stand_in["entries"]:
        if all(entry[f] == v for f, v in wanted.items()):
            ratio = f"{entry['ratio']:.3f} by the {entry['clock']} clock ({entry['source']})"
            return entry, f"interval widened by their measured ratio {ratio}"
    for entry in stand_in["rejected"]:
        if all(entry[f] == v for f, v in wanted.items()):
            return None, entry["reason"]
    return None, "their ratio has not been measured on this problem by this clock"


def widen(low: float, high: float, entry: dict, inverse: bool = False) -> tuple[float, float]:
    """The interval that covers the stand-in and what it stands for.

    entry: time of the stand-in / time of the package, with its own interval. inverse: the stand-in is the baseline of
    the ratio, not its subject.
    """
    ends = (1 / entry["high"], 1 / entry["low"]) if inverse else (entry["low"], entry["high"])
    return min(low, low * ends[0]), max(high, high * ends[1])


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
    known = quote.known_ratios(ratios)
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
    return quote.known_ratios(peers["ratios"])


def _judge_on_package(claim: dict, key: Key, packages: dict[tuple, dict]) -> dict | None:
    if not claim.get("stand_in"):
        return None
    settings = PACKAGES.get(claim["baseline"], {claim["baseline"]: "tuned"})
    ratios = [packages.get((PACKAGE, baseline, *key[1:])) for baseline in settings]
    ratios = [r for r in ratios if r is not None and r["low"] is not None]
    if not ratios:
        return None
    found = quote.hardest(ratios)
    setting = settings[found["baseline"]]
    notes = ["judged on the packages themselves, called through Python in one process"]
    notes += [claim["note"]] if claim.get("note") else []
    notes += _of_setting(setting)
    notes += ["a system of it did not converge"] if found.get("converged") is False else []
    entry = {"name": claim["name"], "subject": claim["subject"], "baseline": claim["baseline"]}
    entry |= {f: getattr(key, f) for f in KEY_FIELDS}
    entry |= {"range": claim["range"], "ratio": found["ratio"], "low": found["low"], "high": found["high"]}
    entry |= {"verdict": verdict(found["low"], found["high"], claim["range"]), "measured_on": PACKAGE}
    entry["setting"] = setting
    return entry | {"note": "; ".join(notes), "notes": notes}


def _judge_one(run: Run, claim: dict, key: Key, known: dict, stand_in: dict) -> dict:
    entry = {"name": claim["name"], "subject": claim["subject"], "baseline": claim["baseline"]}
    entry |= {f: getattr(key, f) for f in KEY_FIELDS}
    entry |= {"range": claim["range"], "ratio": None, "low": None, "high": None}
    found = known.get((claim["subject"], claim["baseline"], *key[1:]))
    notes = [claim["note"]] if claim.get("note") else []
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
        found = quote.hardest(quote.at_settings(found, known))
        entry["setting"] = quote.row_and_setting(found["baseline"])[1]
        notes += _of_setting(entry["setting"])
        low, high = found["low"], found["high"]
        comparable = True
        for role, inverse in (("stand_in", False), ("baseline_stand_in", True)):
            if claim.get(role) and low is not None:
                name = claim["baseline" if inverse else "subject"]
                ratio, text = stand_in_ratio(stand_in, name, key)
                if ratio:
                    low, high = widen(low, high, ratio, inverse)
                else:
                    comparable, entry["not_comparable"] = False, text
                    text += f", so the interval is that of {name} alone and the verdict stays open"
                notes.append(f"{name} stands in for {stand_in['package']}; {text}")
        entry |= {"ratio": found["ratio"], "low": low, "high": high}
        entry["verdict"] = verdict(low, high, claim["range"]) if comparable else "AMBIGUOUS"
        if low is None:
            notes.append("one round only: no interval")
        if not found["converged"]:
            notes.append("a row of it did not converge")
    entry["note"] = "; ".join(notes)
    entry["notes"] = notes
    return entry


def _of_setting(setting: str) -> list[str]:
    """The note on a baseline that is quoted at another setting than the tuned one."""
    return [] if setting == "tuned" else [f"the baseline is fastest {setting}, so that is what counts here"]


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
