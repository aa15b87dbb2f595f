# SPDX-License-Identifier: MIT
"""Which clock and which setting a problem is quoted by: one clock for all rows of a shape, and of a baseline's settings
the one that is best for it.

CPU: wall. GPU: cold; but where the shape's fastest row takes under some 20 us, which is near what events and launches
cost, graph replay, then hot, as far as the rows at hand have it.
"""

from __future__ import annotations

from collections.abc import Iterable

SHORT = 20e-6  # seconds
STOCK = "_stock"  # behind the name of a baseline in the pass with stock settings
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


def harder(tuned: dict, stock: dict | None) -> dict:
    """Of the ratios to a baseline at its tuned and at its stock setting the one that is quoted against us: the tuned
    one, unless the stock setting is faster by more than both intervals."""
    if stock is None or stock["high"] is None or tuned["low"] is None:
        return tuned
    return stock if stock["high"] < tuned["low"] else tuned
