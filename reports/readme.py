# SPDX-License-Identifier: MIT
"""Rewrites the part of README.md between its headline marks from the committed results; --check only compares.

    ./suite python -m reports.readme [--check]

Figures get into the README in this way alone: a test runs --check.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from reports import calibration, claims, verdict
from reports.extras import load as load_extras
from reports.render import headline_table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "reports" / "results"
BEGIN, END = "<!-- headline:begin -->\n", "<!-- headline:end -->"
COLUMNS = ("shape", "mode", "padding", "clock", "subject_ps", "baseline", "setting", "baseline_ps", "speedup")


def section(folder: Path) -> str:
    """One machine: its claims, its table, its picture."""
    report = json.loads((folder / "report.json").read_text())
    spec = claims.load()
    environment = report["environment"]
    device = environment["device_name"] or environment["cpu"]
    if environment["device"] == "cpu":
        device += f", {environment['threads']} threads"
    commit, day = environment["commit"][:12], environment["date"][:10]
    measured = f"`./suite report --set {report['set']}`, commit {commit}, {day}"
    age = f"what has changed since: `./suite report --check {folder.relative_to(ROOT)}`"
    lines = [f"### {device}", "", f"{measured}; {age}.", ""]
    lines += [f"* {line}" for line in claims.headline(report["claims"]) if not line.startswith("NOT MEASURED")]
    # One baseline a padding; the report has the others.
    reference = spec["reference"]
    table = [r for r in headline_table(report, spec) if r["baseline"] == reference[r["padding"]]]
    unit = f"Picoseconds per element; speed-up of `{spec['headline']}` with its 95 % interval; \\* did not converge."
    lines += ["", unit, ""]
    lines += [f"| shape | mode | padding | clock | {spec['headline']} | baseline | setting | its time | speed-up |"]
    lines += ["|---|---|---|---|---:|---|---|---:|---:|"]
    lines += ["| " + " | ".join(row[c] for c in COLUMNS) + " |" for row in table]
    # Of a sweep, where there is one: it has more sizes.
    pictures = ("sweep/speedup_by_resolution", "speedup_by_resolution", "time_against_ceilings")
    picture = next((name for name in pictures if (folder / f"{name}.png").exists()), None)
    if picture:
        where = (folder / f"{picture}.png").relative_to(ROOT)
        lines += ["", f"![{picture.split('/')[-1].replace('_', ' ')}]({where})"]
    how = verdict.text(report)
    lines += ["", how] if how else []
    lines += ["", calibration.sentence(report["calibration"], environment)]
    lines += [line for one in report["gate"] for line in ("", f"The gate: {one}.")]
    pages = [("report", "report.md"), *((Path(name).name, name) for name, _ in load_extras(folder).beside)]
    links = [f"[{title}]({(folder / name).relative_to(ROOT)})" for title, name in pages]
    lines += ["", f"All rows, claims and the environment: {', '.join(links)}.", ""]
    return "\n".join(lines)


def text() -> str:
    folders = sorted((p.parent for p in RESULTS.glob("*/report.json")), key=lambda p: (p.name != "h200", p.name))
    readme = (ROOT / "README.md").read_text()
    head, rest = readme.split(BEGIN)
    tail = rest.split(END)[1]
    return head + BEGIN + "".join(section(folder) + "\n" for folder in folders) + END + tail


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit status 1 if the README says something else")
    args = parser.parse_args()
    wanted, path = text(), ROOT / "README.md"
    if args.check:
        if wanted != path.read_text():
            print("README.md is not what reports/results/ says; to mend: ./suite python -m reports.readme")
            return 1
        return 0
    path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
