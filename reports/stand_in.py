# SPDX-License-Identifier: MIT
"""Rewrites stand_in.json: how the row `tiled` compares with the package fused-ssim that it stands for.

    ./suite python reports/stand_in.py reports/results/peers/h200-2026-11-22.csv reports/results/h200/report.json

The first file has the package's own times on one card, the second a report of a card of the same kind. Both are
medians of many samples, but of different days, so each ratio is given an interval of 3 %.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
STAND_IN = "tiled"
SPREAD = 0.03


def entries(peers: Path, report: dict) -> list[dict]:
    """One for each problem of 2 million elements or more, where neither side is bound by the host."""
    package = {}
    for line in csv.DictReader(peers.read_text().splitlines()):
        if line["system"].startswith("rahul-goel/fused-ssim"):
            shape = "x".join(line[f] for f in ("batch", "channels", "height", "width"))
            package[shape, line["mode"], line["system"].rsplit(", ", 1)[1]] = float(line["ps_per_element"])
    found = []
    for row in report["rows"]:
        shape = "x".join(str(row[f]) for f in ("batch", "channels", "height", "width"))
        theirs = package.get((shape, row["mode"], row["padding"]))
        if row["name"] != STAND_IN or row["clock"] != "cold" or row["error"] or theirs is None:
            continue
        if row["batch"] * row["channels"] * row["height"] * row["width"] < 2_000_000:
            continue
        ratio = row["ps_per_element"] / theirs
        found.append(
            {
                "stand_in": STAND_IN,
                "mode": row["mode"],
                "padding": row["padding"],
                "shape": shape,
                "ratio": round(ratio, 3),
                "low": round(ratio * (1 - SPREAD), 3),
                "high": round(ratio * (1 + SPREAD), 3),
                "source": f"{peers.name}, {report['environment']['device_name']}",
            }
        )
    return sorted(found, key=lambda e: (e["mode"], e["padding"], e["shape"]))


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    path = HERE / "stand_in.json"
    known = json.loads(path.read_text())
    known["entries"] = entries(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(known['entries'])} entries in {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
