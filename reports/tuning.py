# SPDX-License-Identifier: MIT
"""From the result stream of set `tune` to the file of figures that reports/selection.py reads and that is committed."""

from __future__ import annotations

import json
from collections import Counter

from reports.stream import Run

# Of the run's environment: what the table's class and its comment need.
ENVIRONMENT = ("device", "device_name", "cpu", "capability", "multiprocessors", "driver", "cuda", "cuda_compiler",
               "cuda_flags", "compiler", "flags", "threads", "sm_clock_mhz", "commit", "dirty", "date")  # fmt: skip


def wrong(run: Run) -> list[str]:
    """Rows that gave a wrong result, with what was wrong."""
    return [f"{key.text()}: {record['error']}" for (_, key), record in run.rows.items() if record.get("error")]


def figures(run: Run) -> str:
    """JSON, a line a row: KEY, candidate, ps_per_element with its interval, converged, samples."""
    lines = []
    for (settings, key), record in run.rows.items():
        if settings != "best" or record.get("error") or not record.get("seconds"):
            continue
        scale = 1e12 / key.elements
        row = key._asdict() | {"candidate": bool(record.get("candidate"))}
        row |= {"ps_per_element": round(record["seconds"] * scale, 4)}
        row |= {f: round(record[f] * scale, 4) for f in ("ci_low", "ci_high") if record.get(f) is not None}
        row |= {"converged": bool(record.get("converged")), "samples": record.get("samples", 0)}
        lines.append(json.dumps(row))
    known = run.environment
    environment = {field: known[field] for field in ENVIRONMENT if known.get(field) is not None}
    head = json.dumps({"schema": 1, "set": run.set_name, "environment": environment}, indent=1)[:-2]
    return head + ',\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def not_measured(run: Run) -> list[str]:
    """Why figures are missing, with how many: rows that refuse, and what the run had no time or room for."""
    count = Counter(run.skipped.values())
    if unfinished := len(run.unfinished()):
        count["begun and not finished"] = unfinished
    return [f"{number} not measured: {reason}" for reason, number in count.most_common()]
