# SPDX-License-Identifier: MIT
"""What may lie beside a run's samples.jsonl: calibration.json, peers.json, gate.jsonl, profiles.json. A report shows
what is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from reports import calibration, error_rates

PEERS = "peers.json"
PROFILES = "profiles.json"  # of ./suite profile --all


@dataclass
class Extras:
    calibration: dict | None = None
    peers: dict | None = None
    gate: list[dict] = field(default_factory=list)
    profiles: list[dict] = field(default_factory=list)


def load(folder: Path) -> Extras:
    """Raises ValueError for a file that is damaged; an absent one is absent."""
    found = Extras(calibration=calibration.load(folder / calibration.FILE))
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
    return found
