# SPDX-License-Identifier: MIT
"""Which clock a problem is quoted by: one for all rows of a comparison.

CPU: wall. GPU: large problems cold, small ones by graph replay (an operation of some 20 us is shorter than what events
and launches cost), then hot, then wall, as far as the rows at hand have it.
"""

from __future__ import annotations

from collections.abc import Iterable

LARGE = 2_000_000  # elements: 1x3x1080x1920 is cold, 1x3x512x512 is not


def preference(device: str, elements: int) -> tuple[str, ...]:
    if device == "cpu":
        return ("wall",)
    return ("cold", "graph", "hot", "wall") if elements >= LARGE else ("graph", "hot", "wall", "cold")


def problem(entry: dict) -> tuple:
    return tuple(entry[f] for f in ("device", "mode", "padding", "batch", "channels", "height", "width"))


def elements(entry: dict) -> int:
    return entry["batch"] * entry["channels"] * entry["height"] * entry["width"]


def shape(entry: dict) -> str:
    return f"{entry['batch']}×{entry['channels']}×{entry['height']}×{entry['width']}"


def quoted(entries: Iterable[dict]) -> dict[tuple, dict]:
    """Of entries that differ only in their clock (rows of one name, or ratios of one pair), the one to quote."""
    best: dict[tuple, dict] = {}
    for entry in entries:
        who = (entry.get("name"), entry.get("baseline") if "subject" in entry else None, entry.get("subject"))
        known = best.get((*problem(entry), *who))
        order = preference(entry["device"], elements(entry))
        if known is None or order.index(entry["clock"]) < order.index(known["clock"]):
            best[(*problem(entry), *who)] = entry
    return best
