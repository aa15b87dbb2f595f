# SPDX-License-Identifier: MIT
"""What may lie beside a run's samples.jsonl: accuracy.json, calibration.json, peers.json, gate.jsonl. A report shows
what is there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from reports import accuracy, calibration, error_rates

PEERS = "peers.json"


@dataclass
class Extras:
    calibration: dict | None = None
    peers: dict | None = None
    accuracy: dict | None = None
    gate: list[dict] = field(default_factory=list)


def load(folder: Path) -> Extras:
    """Raises ValueError for a file that is damaged; an absent one is absent."""
    found = Extras(calibration=calibration.load(folder / calibration.FILE), accuracy=accuracy.load(folder))
    if (folder / PEERS).exists():
        try:
            found.peers = json.loads((folder / PEERS).read_text())
        except ValueError as error:
            raise ValueError(f"{folder / PEERS} is damaged: {error}") from None
    if (folder / error_rates.FILE).exists():
        found.gate = error_rates.read(folder / error_rates.FILE)
    return found
