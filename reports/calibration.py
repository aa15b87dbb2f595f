# SPDX-License-Identifier: MIT
"""What a machine's clocks can tell apart: calibration.json, made by ./suite calibrate.

    { "schema": 2, "commit", "environment", "seconds", "pairs", "key", "resolution", "settling",
      "delay", "flush", "drift", "reach": …, "spread": …,
      "rows": {key: {"ratio", "low", "high", "sd", "pairs"}} }

reach:  of one binary against itself in pairs of processes (A/A), the farthest that a row's simultaneous interval, which
        is of the mean over the pairs, lies from no difference. For the gate, whose floor is at least this.
spread: standard deviation between processes, relative, the largest of the rows: of the log medians of one side's
        processes over the pairs. For single runs, as a report is one. Not of differences within pairs: on a CPU the
        two of a pair take turns on the same cores, so that the machine's moods, which single runs meet, cancel there.
        (schema 1 had it so; it is left out of such a file of a CPU. On a GPU the two ran one after another.)
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy import stats

from frontdoor.commit import label
from reports import fields
from reports.fields import COUNT, LIST, NUMBER, RECORD, TEXT
from reports.gate import ERROR, log_ratio, t_interval
from reports.pairs import Side

FILE = "calibration.json"
SCHEMA = 2
MACHINE = ("device", "device_name", "driver")  # what a calibration holds for
COVERAGE = 0.95  # of what single runs differ by
SETTLED = 0.005  # of the figure, from there on
TIMES = {"seconds": NUMBER, "ci_low": NUMBER, "ci_high": NUMBER}


def of_pairs(base: Side, head: Side) -> dict:
    """rows, reach and spread of an A/A run; a row with fewer than two pairs has none."""
    logs, spreads = {}, []
    for key, of_base in base.rows.items():
        of_head = head.rows.get(key, {})
        shared = [p for p in of_base if p in of_head and of_base[p].get("seconds") and of_head[p].get("seconds")]
        if len(shared) > 1:
            logs[key.text()] = np.array([log_ratio(of_base[p], of_head[p]) for p in shared])
            sides = [[math.log(side[p]["seconds"]) for p in shared] for side in (of_base, of_head)]
            spreads.append(math.sqrt(np.mean([np.var(side, ddof=1) for side in sides])))
    rows = {}
    for name, values in logs.items():
        low, high = t_interval(values, 1 - ERROR / len(logs))
        rows[name] = {"ratio": math.exp(float(np.mean(values))), "low": math.exp(low), "high": math.exp(high),
                      "sd": float(np.std(values, ddof=1)), "pairs": len(values)}  # fmt: skip
    if not rows:
        return {"rows": {}, "reach": None, "spread": None}
    reach = max(max(abs(math.log(r["low"])), abs(math.log(r["high"]))) for r in rows.values())
    return {"rows": rows, "reach": math.expm1(reach), "spread": max(spreads)}


def reach_of_single_runs(found: dict | None) -> float | None:
    """By how much, relative, two runs of one binary of one process each differ in 5 cases of 100; None if not known.

    The difference of two log medians has the spread times sqrt(2); Student's t, for the spread is of few processes.
    """
    if not found or not found.get("spread"):
        return None
    quantile = stats.t.ppf((1 + COVERAGE) / 2, found["pairs"] - 1)
    return math.expm1(float(quantile) * math.sqrt(2) * found["spread"])


def _check(found) -> None:
    fields.require(found, {"schema": COUNT, "commit?": TEXT, "environment": RECORD, "seconds": NUMBER, "pairs": COUNT,
                           "key": TEXT, "resolution?": LIST, "settling?": LIST, "delay?": RECORD, "flush?": RECORD,
                           "drift?": RECORD, "reach?": NUMBER, "spread?": NUMBER, "rows": RECORD})  # fmt: skip
    fields.require(found["environment"], {"device": TEXT, "device_name?": TEXT, "driver?": TEXT, "threads?": COUNT},
                   "environment.")  # fmt: skip
    if found["schema"] not in (1, SCHEMA):
        raise ValueError(f"schema {found['schema']}, this program reads 1 and {SCHEMA}")
    if found["pairs"] < 2:
        raise ValueError(f"field pairs is {found['pairs']}, must be 2 or more")
    fields.require_each(found, "rows", {"low": NUMBER, "high": NUMBER, "pairs": COUNT})
    parts = {
        "resolution": {"clock": TEXT, "step_s": NUMBER, "empty_s?": NUMBER},
        "settling": {"idle_s": NUMBER, "window_s": NUMBER, "medians_s": LIST},
        "delay": TIMES,
        "flush": TIMES,
    }
    for name in (n for n in parts if found.get(n)):
        fields.require_each(found, name, parts[name])
    drift = found.get("drift") or {}
    if "largest" in drift:
        fields.require(drift, {"largest": NUMBER, "window_s": NUMBER}, "drift.")


def read(path: Path, environment: dict | None = None) -> dict | None:
    """None where there is none, or where it is of another device or driver than `environment`. Raises ValueError with
    the file's name and the field where it is damaged."""
    found = fields.read(path, _check)
    if found is None:
        return None
    theirs = found["environment"]
    if environment is not None and any(theirs.get(f) != environment.get(f) for f in MACHINE):
        return None
    if found["schema"] == 1 and theirs["device"] == "cpu":
        found["spread"] = None
    return found


def _us(value: dict | None) -> str:
    if not value:
        return "–"
    return f"{1e6 * value['seconds']:.4g} us [{1e6 * value['ci_low']:.4g}, {1e6 * value['ci_high']:.4g}]"


def sentence(found: dict | None, environment: dict | None = None) -> str:
    """What a report of this environment says of it."""
    reach = reach_of_single_runs(found)
    if reach is None:
        return "How far two runs of one binary differ here has not been measured (`./suite calibrate`)."
    text = (
        f"**A difference below {100 * reach:.2g} % means nothing here:** two runs of one binary differ by less in 95 "
        f"cases of 100, by a spread of {100 * found['spread']:.2g} % between processes in {found['pairs']} pairs"
    )
    if found.get("reach") is not None:
        text += f" (the gate compares means over such pairs, which lie within {100 * found['reach']:.2g} %)"
    drift = (found.get("drift") or {}).get("largest")
    if drift is not None:
        text += f"; over {found['seconds']:.0f} s the median of 5 s drifted by up to {100 * drift:.2g} %"
    commit = label(found.get("commit"), None)[:12]
    return f"{text}{_other_threads(found, environment)} (`./suite calibrate`, commit {commit})."


def _other_threads(found: dict, environment: dict | None) -> str:
    """On a CPU a calibration leaves a core free, a report does not."""
    theirs, here = found["environment"].get("threads"), (environment or {}).get("threads")
    if found["environment"].get("device") != "cpu" or here is None or theirs == here:
        return ""
    return f"; that was with {theirs} thread{'' if theirs == 1 else 's'}, the figures here are with {here}"


def _settled(after: dict) -> str:
    """How far the first window lies from the last ones, and when all that follow are near them."""
    medians = np.array(after["medians_s"], dtype=float)
    if len(medians) < 2:
        return ""
    off = medians / np.median(medians[-(len(medians) // 5 + 1) :]) - 1
    first = 1 + max((i for i, o in enumerate(off) if abs(o) > SETTLED), default=-1)
    when = "never" if first == len(off) else f"after {1e3 * first * after['window_s']:.0f} ms"
    begin = f"after {after['idle_s']:g} s of idleness: the first {1e3 * after['window_s']:.0f} ms are"
    return f"{begin} {100 * off[0]:+.2f} % off, within {100 * SETTLED:.2g} % {when}"


def text(found: dict) -> str:
    """For the terminal."""
    lines = []
    for clock in found.get("resolution") or []:
        step = f"{clock['clock']} clock: steps of {1e9 * clock['step_s']:.3g} ns"
        if clock.get("empty_s") is not None:
            step += f", an empty sample reads {1e6 * clock['empty_s']:.3g} us"
        lines.append(step)
    lines += [line for line in map(_settled, found.get("settling") or []) if line]
    for name, title in (("delay", "cold with a delay"), ("flush", "flush by")):
        for kind, value in (found.get(name) or {}).items():
            lines.append(f"{found['key']}, {title} {kind.replace('_', ' ')}: {_us(value)}")
    drift = found.get("drift") or {}
    if "largest" in drift:
        lines.append(f"drift over {found['seconds']:.0f} s: medians of {drift['window_s']:.0f} s lie up to "
                     f"{100 * drift['largest']:.2g} % from the median of all")  # fmt: skip
    for name, row in (found.get("rows") or {}).items():
        ends = f"{100 * (row['low'] - 1):+.2f} % to {100 * (row['high'] - 1):+.2f} %"
        lines.append(f"A/A {name}: mean {ends} in {row['pairs']} pairs")
    lines.append(sentence(found).replace("**", "").replace("`", ""))
    return "\n".join(lines)
