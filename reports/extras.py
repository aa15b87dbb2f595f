# SPDX-License-Identifier: MIT
"""What may lie beside a run's samples.jsonl: accuracy.json, calibration.json, peers.json, gate.jsonl, profiles.json,
which a report shows, and pages and recordings, to which it links."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reports import accuracy, calibration, error_rates, fields
from reports.fields import LIST, NUMBER, RECORD, TEXT, TRUTH

PEERS = "peers.json"
PROFILES = "profiles.json"  # of ./suite profile --all
BESIDE = {
    "sweep/report.md": "resolution, batch and channels (`./suite report --set sweep`)",
    "repeats.md": "how well the figures repeat from start to start (`reports.repeats`)",
    "cliffs.md": "neighbouring shapes, and base pointers off alignment (`./suite cliffs`)",
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


def load(folder: Path, environment: dict | None = None) -> Extras:
    """environment: of the run; a calibration of another device or driver says nothing of it and is left out. Raises
    ValueError with the file's name, and the field, for a file that is damaged; an absent one is absent."""
    found = Extras(
        calibration=calibration.read(folder / calibration.FILE, environment),
        peers=fields.read(folder / PEERS, _check_peers),
        accuracy=accuracy.load(folder),
        profiles=(fields.read(folder / PROFILES, _check_profiles) or {}).get("profiles", []),
    )
    if (folder / error_rates.FILE).exists():
        found.gate = error_rates.read(folder / error_rates.FILE)
    found.beside = [(name, about) for name, about in BESIDE.items() if (folder / name).is_file()]
    return found


def _check_peers(found) -> None:
    fields.require(found, {"environment": RECORD, "systems": RECORD, "ratios": LIST, "equivalence": LIST,
                           "commit?": TEXT})  # fmt: skip
    fields.require(found["environment"], {"device_name": TEXT}, "environment.")
    fields.require_each(found, "systems", {"what": TEXT, "reason?": TEXT})
    ratio = {"subject": TEXT, "baseline": TEXT, **fields.KEY, **fields.INTERVAL}
    fields.require_each(found, "ratios", {**ratio, "converged?": TRUTH})
    fields.require_each(found, "equivalence", {**ratio, "within": TRUTH})


def _check_profiles(found) -> None:
    fields.require(found, {"profiles": LIST})
    parts = {f"{name}?": NUMBER for name in ("dram_bytes", "issue", "tensor", "fma")}
    fields.require_each(found, "profiles", {f: TEXT for f in ("name", "mode", "padding", "shape")} | parts)
