# SPDX-License-Identifier: MIT
"""Rewrites stand_in.json: how the row `tiled` compares with the package fused-ssim that it stands for.

    ./suite python -m reports.stand_in reports/results/peers/h200-2026-11-22.csv reports/results/h200/report.json

The first file has the package's own times on one card, the second a report of a card of the same kind. Each clock is
compared with its own: cold with gpu_ms_median, wall with wall_ms. Both sides are medians of many samples, but of
different days, so each ratio is given an interval of 3 %. Where the package's time is the host's and not its kernels',
there is no entry, but a reason.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from reports.verdict import HOST_SHARE

HERE = Path(__file__).resolve().parent
STAND_IN = "tiled"
SPREAD = 0.03
CLOCKS = {"cold": "gpu_ms_median", "wall": "wall_ms"}
# By how much the wall clock may be under the GPU's own time: the latter is taken with a flushed L2 cache, the former
# with a warm one, and `tiled` takes 1 % less with it.
WARM = 0.02


def host_bound(gpu_ms: float, wall_ms: float) -> str:
    """"", or why a time of the package is the host's.

    By the host's clock a call takes at least as long as the GPU works on it. Less can only be where the GPU waited for
    the next launch between the two events: then its own time holds the host's. Much more is the host's share itself.
    """
    if (1 - WARM) * gpu_ms <= wall_ms <= HOST_SHARE * gpu_ms:
        return ""
    times = f"{wall_ms:.3g} ms by the wall clock, {gpu_ms:.3g} ms between GPU events"
    return f"the package's call is bound by the host there ({times})"


def compare(peers: Path, report: dict) -> dict[str, list[dict]]:
    """"entries" and "rejected" of stand_in.json: each problem and clock that both files have."""
    package = {}
    for line in csv.DictReader(peers.read_text().splitlines()):
        if line["system"].startswith("rahul-goel/fused-ssim"):
            shape = "x".join(line[f] for f in ("batch", "channels", "height", "width"))
            package[shape, line["mode"], line["system"].rsplit(", ", 1)[1]] = line
    found: dict[str, list[dict]] = {"entries": [], "rejected": []}
    for row in report["rows"]:
        shape = "x".join(str(row[f]) for f in ("batch", "channels", "height", "width"))
        theirs = package.get((shape, row["mode"], row["padding"]))
        if row["name"] != STAND_IN or row["clock"] not in CLOCKS or row["error"] or theirs is None:
            continue
        about = {f: row[f] for f in ("mode", "padding")} | {"shape": shape, "clock": row["clock"]}
        source = {"source": f"{peers.name}, {report['environment']['device_name']}"}
        reason = host_bound(float(theirs["gpu_ms_median"]), float(theirs["wall_ms"]))
        if reason:
            found["rejected"].append({"stand_in": STAND_IN, **about, "reason": reason, **source})
            continue
        ratio = 1e3 * row["seconds"] / float(theirs[CLOCKS[row["clock"]]])
        ends = {"low": round(ratio * (1 - SPREAD), 3), "high": round(ratio * (1 + SPREAD), 3)}
        found["entries"].append({"stand_in": STAND_IN, **about, "ratio": round(ratio, 3), **ends, **source})
    for kind in found.values():
        kind.sort(key=lambda e: (e["mode"], e["padding"], e["shape"], e["clock"]))
    return found


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    path = HERE / "stand_in.json"
    known = json.loads(path.read_text()) | compare(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(known['entries'])} entries and {len(known['rejected'])} rejected in {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
