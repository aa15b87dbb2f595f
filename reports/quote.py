# SPDX-License-Identifier: MIT
"""Which clock and which setting a problem is quoted by: one clock for all rows of a shape, and of a baseline's settings
the one that is best for it.

CPU: wall. GPU: cold; but where the shape's fastest row takes under some 20 us, which is near what events and launches
cost, graph replay, then hot, as far as the rows at hand have it.

A baseline is timed tuned and as it comes, and may be captured in a CUDA graph, which spares it the gaps between its
launches. Captured it has a time by the graph clock alone; that is held against a subject's time by any clock, and its
ratio bears CAPTURED behind the baseline's name. A graph's calls follow one another, so it also finds the L2 cache warm:
an advantage of the baseline, never ours.
"""

from __future__ import annotations

from collections.abc import Iterable

SHORT = 20e-6  # seconds
STOCK = "_stock"  # behind the name of a baseline in the pass with stock settings
CAPTURED = "_graph"  # behind the name of a baseline (and STOCK) in a ratio of its time by graph replay to another clock
SETTINGS = {
    "": "tuned",
    CAPTURED: "captured in a CUDA graph",
    STOCK: "as it comes",
    STOCK + CAPTURED: "as it comes, captured in a CUDA graph",
}
LONG_ORDER, SHORT_ORDER = ("cold", "graph", "hot", "wall"), ("graph", "hot", "wall", "cold")


def _shape(entry: dict) -> tuple:
    return tuple(entry[f] for f in ("device", "batch", "channels", "height", "width"))


def short_shapes(rows: Iterable[dict]) -> set[tuple]:
    """Shapes of which a row takes less than SHORT by one of the GPU's own clocks."""
    return {_shape(r) for r in rows if r["clock"] != "wall" and r.get("seconds") and r["seconds"] < SHORT}


def problem(entry: dict) -> tuple:
    return tuple(entry[f] for f in ("device", "mode", "padding", "batch", "channels", "height", "width"))


def elements(entry: dict) -> int:
    return entry["batch"] * entry["channels"] * entry["height"] * entry["width"]


def shape(entry: dict) -> str:
    return f"{entry['batch']}×{entry['channels']}×{entry['height']}×{entry['width']}"


def quoted(entries: Iterable[dict], short: set[tuple]) -> dict[tuple, dict]:
    """Of entries that differ only in their clock (rows of one name, or ratios of one pair), the one to quote. `short`:
    short_shapes() of all rows."""
    best: dict[tuple, dict] = {}
    for entry in entries:
        who = (entry.get("name"), entry.get("baseline") if "subject" in entry else None, entry.get("subject"))
        known = best.get((*problem(entry), *who))
        order = SHORT_ORDER if _shape(entry) in short else LONG_ORDER
        if known is None or order.index(entry["clock"]) < order.index(known["clock"]):
            best[(*problem(entry), *who)] = entry
    return best


def row_and_setting(baseline: str) -> tuple[str, str]:
    """("pytorch_mssim", "captured in a CUDA graph") of a ratio's baseline."""
    suffix = next(s for s in sorted(SETTINGS, key=len, reverse=True) if baseline.endswith(s))
    return baseline.removesuffix(suffix), SETTINGS[suffix]


def is_captured(baseline: str) -> bool:
    return baseline.endswith(CAPTURED)


def known_ratios(ratios: Iterable[dict]) -> dict[tuple, dict]:
    """By subject, baseline, problem and clock."""
    return {(r["subject"], r["baseline"], *problem(r), r["clock"]): r for r in ratios}


def at_settings(tuned: dict, known: dict[tuple, dict]) -> list[dict]:
    """The ratio to a tuned baseline and those to its other settings, as far as there are any."""
    subject, baseline, *where = tuned["subject"], tuned["baseline"], *problem(tuned), tuned["clock"]
    others = (known.get((subject, baseline + suffix, *where)) for suffix in SETTINGS if suffix)
    return [tuned, *(other for other in others if other is not None)]


def hardest(ratios: Iterable[dict]) -> dict:
    """Of the ratios to one baseline at its settings the one that is quoted against us: the first, unless a later one is
    lower by more than both intervals."""
    best, *others = ratios
    for other in others:
        if other["high"] is not None and best["low"] is not None and other["high"] < best["low"]:
            best = other
    return best
