# SPDX-License-Identifier: MIT
"""profiles.md and profiles.json of `./suite profile --all`: what they hold, and how they are written."""

from __future__ import annotations

import json
import re
from pathlib import Path

from frontdoor.place import MISUSE, Stop, relative

TIMELINE = "Timeline of a training loop: "
Job = tuple  # (row, mode)


def held(out: Path, card: str, shapes: dict[str, str], padding: str) -> dict[Job, tuple[dict, str]]:
    """What the page in `out` holds of this card and each row's shape: (row, mode) to its figures and its section.
    Raises Stop where it cannot be read."""
    try:
        record = json.loads((out / "profiles.json").read_text())
        page = (out / "profiles.md").read_text()
        entries = record["profiles"] if record["card"] == card else []
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Stop(MISUSE, f"profile: --resume: {relative(out)} cannot be read: {error}") from None
    parts = re.split(r"^## ", page, flags=re.M)[1:]
    sections = {part.split("\n", 1)[0]: f"## {part.rstrip()}\n" for part in parts}
    found = {}
    for entry in entries:
        title = f"{entry['name']}, {entry['mode']}"
        if (entry["shape"], entry["padding"]) == (shapes.get(entry["name"]), padding) and title in sections:
            found[entry["name"], entry["mode"]] = entry, sections[title]
    return found


def timeline(out: Path, nsys: bool) -> str:
    """The sentence about the timeline that lies in `out`, where this run records none: that of the page where it has
    one. nsys: Nsight Systems is here."""
    page = out / "profiles.md"
    told = re.search(rf"^{TIMELINE}`([^`]+)`.*$", page.read_text(), re.M) if page.is_file() else None
    if told and (out / told[1]).is_file():
        return told[0]
    if (out / "timeline.nsys-rep").is_file():
        return f"{TIMELINE}`timeline.nsys-rep`, by Nsight Systems."
    if (out / "timeline.json.gz").is_file():
        why = "of an earlier run" if nsys else "because Nsight Systems (nsys) is not installed"
        return f"{TIMELINE}`timeline.json.gz`, a Chrome trace by torch.profiler, {why}."
    return f"{TIMELINE}none, neither Nsight Systems nor torch.profiler was asked for one (`profile --timeline`)."


def write(out: Path, head: list[str], card: str, jobs: list[Job], done: dict, reasons: dict[Job, str]) -> None:
    """Every job is in the page: with its section, or with the reason why it has none."""
    kept = [done[job] for job in jobs if job in done]
    missing = [f"* {row}, {mode}: {reasons.get((row, mode), 'not reached yet, --resume goes on from here')}"
               for row, mode in jobs if (row, mode) not in done]  # fmt: skip
    tail = ["## Not profiled", "", *missing, ""] if missing else []
    (out / "profiles.md").write_text("\n".join([*head, *(section for _, section in kept), *tail]))
    record = {"schema": 2, "card": card, "profiles": [figures for figures, _ in kept]}
    (out / "profiles.json").write_text(json.dumps(record, indent=1) + "\n")
