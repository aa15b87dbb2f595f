# SPDX-License-Identifier: MIT
"""What a machine's clocks can tell apart: calibration.json, made by ./suite calibrate.

    { "schema": 1, "commit", "environment", "seconds", "pairs", "key", "resolution", "delay", "flush", "drift",
      "reach": …, "spread": …, "rows": {key: {"ratio", "low", "high", "sd"}} }

reach:  of two runs of one binary (A/A), the farthest that a row's simultaneous interval lies from no difference. A
        difference below it means nothing here; the gate's floor is at least this.
spread: standard deviation between processes, relative, the largest of the rows: sd of the log ratios of the medians of
        two processes / sqrt(2).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from reports.gate import ERROR, log_ratio, t_interval
from reports.pairs import Side

FILE = "calibration.json"


def of_pairs(base: Side, head: Side) -> dict:
    """rows, reach and spread of an A/A run; a row with fewer than two pairs has none."""
    logs, alone = {}, []
    for key, of_base in base.rows.items():
        of_head = head.rows.get(key, {})
        shared = [p for p in of_base if p in of_head and of_base[p].get("seconds") and of_head[p].get("seconds")]
        if len(shared) > 1:
            logs[key.text()] = np.array([log_ratio(of_base[p], of_head[p]) for p in shared])
            # Of processes for themselves: what two results without pairs are held against.
            alone.append(np.std([math.log(of_head[p]["seconds"] / of_base[p]["seconds"]) for p in shared], ddof=1))
    rows = {}
    for name, values in logs.items():
        low, high = t_interval(values, 1 - ERROR / len(logs))
        rows[name] = {"ratio": math.exp(float(np.mean(values))), "low": math.exp(low), "high": math.exp(high),
                      "sd": float(np.std(values, ddof=1)), "pairs": len(values)}  # fmt: skip
    if not rows:
        return {"rows": {}, "reach": None, "spread": None}
    reach = max(max(abs(math.log(r["low"])), abs(math.log(r["high"]))) for r in rows.values())
    return {"rows": rows, "reach": math.expm1(reach), "spread": float(max(alone)) / math.sqrt(2)}


def load(path: Path, environment: dict | None = None) -> dict | None:
    """None where there is none, or where it is of another device than `environment`."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if environment is not None:
        theirs = found.get("environment") or {}
        if any(theirs.get(f) != environment.get(f) for f in ("device", "device_name", "driver")):
            return None
    return found


def _us(value: dict | None) -> str:
    if not value:
        return "–"
    return f"{1e6 * value['seconds']:.4g} us [{1e6 * value['ci_low']:.4g}, {1e6 * value['ci_high']:.4g}]"


def sentence(found: dict | None) -> str:
    """What each report says of it."""
    if not found or found.get("reach") is None:
        return "How far two runs of one binary differ here has not been measured (`./suite calibrate`)."
    text = (
        f"**A difference below {100 * found['reach']:.2g} % means nothing here:** so far apart came two runs of one "
        f"binary in {found['pairs']} pairs of processes"
    )
    drift = (found.get("drift") or {}).get("largest")
    if drift is not None:
        text += f"; over {found['seconds']:.0f} s the median of 5 s drifted by up to {100 * drift:.2g} %"
    return f"{text} (`./suite calibrate`, commit {str(found.get('commit') or 'unknown')[:12]})."


def text(found: dict) -> str:
    """For the terminal."""
    lines = []
    for clock in found.get("resolution") or []:
        step = f"{clock['clock']} clock: steps of {1e9 * clock['step_s']:.3g} ns"
        if "empty_s" in clock:
            step += f", an empty sample reads {1e6 * clock['empty_s']:.3g} us"
        lines.append(step)
    for name, title in (("delay", "cold with a delay"), ("flush", "flush by")):
        for kind, value in (found.get(name) or {}).items():
            lines.append(f"{found['key']}, {title} {kind.replace('_', ' ')}: {_us(value)}")
    drift = found.get("drift") or {}
    if "largest" in drift:
        lines.append(f"drift over {found['seconds']:.0f} s: medians of {drift['window_s']:.0f} s lie up to "
                     f"{100 * drift['largest']:.2g} % from the median of all")  # fmt: skip
    for name, row in (found.get("rows") or {}).items():
        ends = f"{100 * (row['low'] - 1):+.2f} % to {100 * (row['high'] - 1):+.2f} %"
        lines.append(f"A/A {name}: {ends} in {row['pairs']} pairs")
    lines.append(sentence(found).replace("**", "").replace("`", ""))
    return "\n".join(lines)
