# SPDX-License-Identifier: MIT
"""How well figures repeat: the same command started several times, perhaps on several machines of one kind.

    ./suite python -m reports.repeats a/samples.jsonl b/samples.jsonl c/samples.jsonl [--out repeats.md]

The spread of a figure is the largest of its medians over the smallest, less one. Figures of 20 us and more by cold, hot
and graph should lie within 3 %; wall holds the host and only states its spread.
Exit status: 0; 1 a figure that should repeat does not; 2 misuse.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from reports.stream import Damaged, Key, Run, read

LEAST_SECONDS = 20e-6
WITHIN = 0.03
HELD = ("cold", "hot", "graph")


def spreads(runs: list[Run]) -> dict[Key, list[float]]:
    """Medians of the figures that all runs have."""
    found = {}
    for settings, key in runs[0].rows:
        times = [run.rows.get((settings, key), {}).get("seconds") for run in runs]
        if settings == "best" and all(times):
            found[key] = times
    return found


def page(runs: list[Run]) -> tuple[str, bool]:
    """The page, and whether all that should repeat does."""
    found = spreads(runs)
    machines = sorted({str(run.environment.get("device_name")) for run in runs})
    commits = sorted({str(run.environment.get("commit"))[:12] for run in runs})
    dates = ", ".join(str(run.environment.get("date")) for run in runs)
    lines = [
        f"# How well figures repeat: {len(runs)} starts on {', '.join(machines)}",
        "",
        f"{'Commit' if len(commits) == 1 else 'Commits'} {', '.join(commits)}; set {runs[0].set_name}; {dates}.",
        "",
        "Spread of a figure: its largest median over its smallest, less one. Held to 3 %: cold, hot and graph from "
        f"{1e6 * LEAST_SECONDS:.0f} µs on.",
        "",
        "| clock | figures | held | median spread | largest spread | over 3 % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    beyond: list[tuple[float, Key]] = []
    for clock in dict.fromkeys(key.clock for key in found):
        held = clock in HELD
        of_clock = {k: t for k, t in found.items() if k.clock == clock and (not held or min(t) >= LEAST_SECONDS)}
        if not of_clock:
            continue
        values = {k: max(t) / min(t) - 1 for k, t in of_clock.items()}
        over = [(v, k) for k, v in values.items() if v > WITHIN]
        if held:
            beyond += over
        lines.append(f"| {clock} | {sum(k.clock == clock for k in found)} | {len(of_clock) if held else '–'} | "
                     f"{100 * statistics.median(values.values()):.2g} % | {100 * max(values.values()):.2g} % | "
                     f"{len(over)} |")  # fmt: skip
    if beyond:
        lines += ["", "Held and beyond 3 %:", ""]
        lines += [f"* {key.text()}: {100 * value:.2g} %" for value, key in sorted(beyond, reverse=True)]
    return "\n".join(lines) + "\n", bool(found) and not beyond


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="samples.jsonl")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if len(args.files) < 2:
        print("repeats: one run alone repeats nothing, give two or more", file=sys.stderr)
        return 2
    try:
        runs = [read(path) for path in args.files]
    except (Damaged, OSError) as error:
        print(f"repeats: {error}", file=sys.stderr)
        return 2
    text, good = page(runs)
    if args.out:
        args.out.write_text(text)
    print(text, end="")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
