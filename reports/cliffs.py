# SPDX-License-Identifier: MIT
"""Cliffs: problems on which a row is much slower than on their neighbours, and what misalignment costs.

Two figures of one row, mode and clock are neighbours where they differ in one thing:

* padding;
* width, by 1 to 4 pixels (or in how far base pointers are off alignment);
* resolution, batch or channels, to the next one that was measured, at most 4 times as many elements.

A is a cliff beside B where A takes over 1.5 times what B's time per element lets expect. Where sizes differ, plain time
per element would find every small problem, whose time is the launch, the first rows and a partly filled wave, and would
hide a slow one behind a smaller neighbour. So the fixed cost of a call is taken out first: it is what the smallest
problem of the run takes beyond its elements at the row's best rate, by the same mode, padding and clock; A is expected
to take it once, and for the rest B's rate without it, at least the best. The smallest problem itself is judged by its
equals in size alone.

Misalignment: a row of pixels that is not a multiple of 16 bytes, or a base pointer that is not, may cost 15 % of the
aligned neighbour's time. Of widths that is the next larger one where it was measured: it needs as many strips, warps or
vectors at least. Against the smaller one it would count as misalignment that, say, 257 columns are one more than fit;
that is a matter of width, judged above.

What the intervals of both medians leave open is unclear, and no finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from frontdoor.commit import label
from reports import quote

LIMIT, ALIGNMENT_LIMIT = 1.5, 1.15
WIDEST_STEP = 4  # pixels of width within which images are the same but for their alignment
LARGEST_STEP = 4.0  # elements: beyond that two problems are no neighbours
NOISE_FIELDS = ("ci_low", "ci_high")


class Pair(NamedTuple):
    """A beside B. `ratio`: A's time / what B lets expect."""

    kind: str
    a: dict
    b: dict
    clock: str
    ratio: float
    sure: float  # the ratio at the ends of the intervals that speak for A
    limit: float

    @property
    def found(self) -> bool:
        return self.sure > self.limit

    @property
    def unclear(self) -> bool:
        return self.ratio > self.limit >= self.sure

    def text(self) -> str:
        return (
            f"{self.kind}: {_name(self.a, self.clock)} takes {self.a['ps_per_element']:.3g} ps an element, "
            f"{self.ratio:.2f} times what {_name(self.b, '')} ({self.b['ps_per_element']:.3g} ps) lets expect; "
            f"{self.limit:g} allowed"
        )


def _name(entry: dict, clock: str) -> str:
    offset = f" {entry['offset_bytes']} bytes off alignment" if entry.get("offset_bytes") else ""
    text = f"{entry['name']} {entry['mode']} {entry['padding']} {quote.shape(entry)}{offset}"
    return f"{text} {clock}".strip()


@dataclass
class Judgement:
    pairs: list[Pair]

    @property
    def found(self) -> list[Pair]:
        return sorted((p for p in self.pairs if p.found), key=lambda p: -p.ratio / p.limit)

    @property
    def unclear(self) -> list[Pair]:
        return sorted((p for p in self.pairs if p.unclear), key=lambda p: -p.ratio / p.limit)

    def counted(self) -> str:
        kinds = dict.fromkeys(p.kind for p in self.pairs)
        return ", ".join(f"{sum(p.kind == kind for p in self.pairs)} {kind}" for kind in kinds)

    def verdict(self) -> list[str]:
        """One line for cliffs, one for misalignment where it was measured."""
        lines = []
        for title, kinds in (("cliffs", STEPS), ("misalignment", ("alignment",))):
            mine = [p for p in self.pairs if p.kind in kinds]
            if not mine:
                continue
            found = sum(p.found for p in mine)
            unclear = sum(p.unclear for p in mine)
            worst = max(mine, key=lambda p: p.ratio)
            told = "none" if not found else f"{found} FOUND"
            more = f", {unclear} unclear" if unclear else ""
            lines.append(f"{title}: {told} in {len(mine)} pairs of neighbours{more}; worst {worst.ratio:.2f} times of "
                         f"{worst.limit:g} allowed: {_name(worst.a, worst.clock)}")  # fmt: skip
        return lines


SIZES = ("resolution", "batch", "channels")
STEPS = ("padding", "width", *SIZES)
Shape = tuple[int, int, int, int, int]  # batch, channels, height, width, offset


def _shape(entry: dict) -> Shape:
    return (*(entry[f] for f in ("batch", "channels", "height", "width")), entry.get("offset_bytes") or 0)


def _best_clock(a: dict[str, dict], b: dict[str, dict]) -> str | None:
    """The clock that the smaller of the two is quoted by, of those that both have."""
    smaller = min((a, b), key=lambda figures: quote.elements(next(iter(figures.values()))))
    timed = [e | {"seconds": 1e-12 * e["ps_per_element"] * quote.elements(e)} for e in smaller.values()]
    order = quote.SHORT_ORDER if quote.short_shapes(timed) else quote.LONG_ORDER
    return next((clock for clock in order if clock in a and clock in b), None)


def _bounds(entry: dict) -> tuple[float, float]:
    ps = entry["ps_per_element"]
    low, high = (entry.get(f) for f in NOISE_FIELDS)
    return low or ps, high or ps


class Costs(NamedTuple):
    """Of a row in one mode, padding and clock: picoseconds a call and, at best, an element."""

    fixed: float
    best: float

    def expected(self, elements: int, other: dict, ps: float) -> float:
        """Picoseconds an element, from another problem's."""
        many = quote.elements(other)
        return self.fixed / elements + max(self.best, ps - self.fixed / many)


def costs(figures: list[dict]) -> Costs:
    """Of figures of one row, mode, padding and clock."""
    smallest = min(figures, key=lambda e: (quote.elements(e), e["ps_per_element"]))
    best = min(e["ps_per_element"] for e in figures)
    return Costs(quote.elements(smallest) * (smallest["ps_per_element"] - best), best)


def _neighbours(shapes: list[Shape]) -> list[tuple[str, Shape, Shape]]:
    """(kind, one, other), each pair once, the smaller one first."""

    def pixels(shape: Shape) -> int:
        return shape[2] * shape[3]

    aligned = [s for s in shapes if s[4] == 0]
    found = []
    for one in aligned:
        for other in aligned:
            if one[:3] == other[:3] and 0 < other[3] - one[3] <= WIDEST_STEP:
                found.append(("width", one, other))
    axes = {"batch": lambda s: s[0], "channels": lambda s: s[1], "resolution": pixels}
    rest = {"batch": lambda s: s[1:], "channels": lambda s: (s[0], *s[2:]), "resolution": lambda s: (*s[:2], s[4])}
    for kind, along in axes.items():
        lines: dict[tuple, list[Shape]] = {}
        for shape in aligned:
            # Of widths that differ by their alignment alone the aligned one stands for all.
            narrow = kind == "resolution" and shape[3] % 4 and any(
                s[:3] == shape[:3] and s != shape and abs(s[3] - shape[3]) <= WIDEST_STEP and s[3] % 4 == 0
                for s in aligned
            )  # fmt: skip
            if not narrow:
                lines.setdefault(rest[kind](shape), []).append(shape)
        for line in lines.values():
            line.sort(key=lambda s: (along(s), s))
            for one, other in zip(line, line[1:]):
                near = kind == "resolution" and one[2] == other[2] and abs(one[3] - other[3]) <= WIDEST_STEP
                if not near and along(other) <= LARGEST_STEP * along(one):
                    found.append((kind, one, other))
    return found


def _pair(kind: str, a: dict, b: dict, clock: str, known: Costs, limit: float) -> Pair:
    model = known if kind in SIZES else Costs(0, 0)
    (low, _), (_, high) = _bounds(a), _bounds(b)
    elements = quote.elements(a)
    ratio = a["ps_per_element"] / model.expected(elements, b, b["ps_per_element"])
    return Pair(kind, a, b, clock, ratio, low / model.expected(elements, b, high), limit)


def judge(entries: Iterable[dict], row: str) -> Judgement:
    """Entries as in report.json's rows, those of images off alignment with `offset_bytes`; figures of `row` alone."""
    groups: dict[tuple, dict[Shape, dict[str, dict]]] = {}  # (device, mode, padding) -> shape -> clock -> figure
    for entry in entries:
        if entry["name"] != row or entry.get("error") or not entry.get("ps_per_element") or entry.get("host_bound"):
            continue
        group = groups.setdefault((entry["device"], entry["mode"], entry["padding"]), {})
        group.setdefault(_shape(entry), {})[entry["clock"]] = entry
    pairs: list[Pair] = []
    for (device, mode, padding), group in groups.items():
        known = {
            clock: costs([f[clock] for f in group.values() if clock in f])
            for clock in {c for figures in group.values() for c in figures}
        }

        def compare(kind, one, other, limit, both_ways=True):
            clock = _best_clock(one, other)
            if clock is not None:
                pairs.append(_pair(kind, one[clock], other[clock], clock, known[clock], limit))
                if both_ways:
                    pairs.append(_pair(kind, other[clock], one[clock], clock, known[clock], limit))

        for kind, one, other in _neighbours(list(group)):
            compare(kind, group[one], group[other], LIMIT)
        if padding == "same":
            for shape, figures in group.items():
                if other := groups.get((device, mode, "valid"), {}).get(shape):
                    compare("padding", figures, other, LIMIT)
        for shape, figures in group.items():
            if shape[4] == 0 and shape[3] % 4 == 0:
                continue
            if shape[4]:
                beside = [group[s] for s in group if s[:4] == shape[:4] and s[4] == 0]
            else:
                beside = [group[s] for s in group if s[:3] == shape[:3] and s[4] == 0 and s[3] % 4 == 0
                          and abs(s[3] - shape[3]) <= WIDEST_STEP]  # fmt: skip
            beside = [other for other in beside if _best_clock(figures, other)]
            if beside:
                widest = max(beside, key=lambda other: next(iter(other.values()))["width"])
                compare("alignment", figures, widest, ALIGNMENT_LIMIT, both_ways=False)
    return Judgement(pairs)


def page(judged: Judgement, environment: dict) -> str:
    """What `./suite cliffs` found, to lie beside a report."""
    lines = [
        f"# Cliffs and misalignment on {environment['device_name'] or environment['cpu']}",
        "",
        f"`./suite cliffs`, commit {label(environment.get('commit'), environment.get('dirty'))}, driver "
        f"{environment.get('driver') or 'none'}, {environment['date']}. The rule: `reports/cliffs.py`.",
        "",
        *(f"* {line}" for line in judged.verdict()),
        "",
        f"{judged.counted()} pairs.",
    ]
    for title, pairs in (("Found", judged.found), ("Left open by the intervals", judged.unclear)):
        if pairs:
            lines += ["", f"## {title}", "", *(f"* {pair.text()}" for pair in pairs)]
    return "\n".join(lines) + "\n"


def summary(entries: Iterable[dict], row: str) -> dict | None:
    """For a report; None where no two figures are neighbours."""
    judged = judge(entries, row)
    if not judged.pairs:
        return None
    return {
        "row": row,
        "pairs": judged.counted(),
        "verdict": judged.verdict(),
        "found": [pair.text() for pair in judged.found],
        "unclear": [pair.text() for pair in judged.unclear],
    }
