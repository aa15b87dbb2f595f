# SPDX-License-Identifier: MIT
"""What may lie beside a run's samples.jsonl: accuracy.json, calibration.json, peers.json, gate.jsonl, profiles.json,
which a report shows, and pages and recordings, to which it links."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from reports import accuracy, calibration, error_rates

PEERS = "peers.json"
PROFILES = "profiles.json"  # of ./suite profile --all
BESIDE = {
    "sweep/report.md": "resolution, batch and channels (`./suite report --set sweep`)",
    "repeats.md": "how well the figures repeat from start to start (`reports.repeats`)",
    "profiles.md": "every CUDA row under Nsight Compute (`./suite profile --all`)",
    "timeline.nsys-rep": "a training loop over time, for Nsight Systems (`./suite profile --timeline`)",
    "timeline.json.gz": "a training loop over time, a Chrome trace by torch.profiler (`./suite profile --timeline`)",
}


@dataclass
class Extras:
    calibration: dict | None = None
    peers: dict | None = None
    accuracy: dict | None = None
    gate: list[dict] = field(default_factory=list)
    profiles: list[dict] = field(default_factory=list)
    beside: list[tuple[str, str]] = field(default_factory=list)  # file, what it is


def load(folder: Path) -> Extras:
    """Raises ValueError for a file that is damaged; an absent one is absent."""
    found = Extras(calibration=calibration.load(folder / calibration.FILE), accuracy=accuracy.load(folder))
    if (folder / PEERS).exists():
        try:
            found.peers = json.loads((folder / PEERS).read_text())
        except ValueError as error:
            raise ValueError(f"{folder / PEERS} is damaged: {error}") from None
    if (folder / PROFILES).exists():
        try:
            found.profiles = json.loads((folder / PROFILES).read_text())["profiles"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / PROFILES} is damaged: {type(error).__name__}: {error}") from None
    if (folder / error_rates.FILE).exists():
        found.gate = error_rates.read(folder / error_rates.FILE)
    found.beside = [(name, about) for name, about in BESIDE.items() if (folder / name).is_file()]
    return found
