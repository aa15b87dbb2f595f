# SPDX-License-Identifier: MIT
"""What all pictures share: colours, axes, and the data that they draw, from report.json's content alone."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator  # noqa: E402

from reports import quote  # noqa: E402

# Okabe and Ito's colours, told apart by all common kinds of colour vision; markers tell them apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "h", ">", "p")
STYLE = {
    "svg.hashsalt": "fused-ssim-suite",
    "font.size": 10,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "legend.frameon": False,
}
MODES = {"infer": "value only (infer)", "train": "value and gradient (train)"}


def styles(names: list[str], first: str) -> dict[str, dict]:
    """No two alike up to 24 names: where colours come again lines are dashed. `first` is drawn over the others, with a
    hollow marker, so that the row that it equals still shows."""
    return {
        name: {
            "color": COLOURS[n % len(COLOURS)],
            "marker": MARKERS[n % len(MARKERS)],
            "linestyle": ("-", "--", ":")[n // len(COLOURS) % 3],
            **(
                {"markersize": 10, "markerfacecolor": "none", "markeredgewidth": 1.8, "zorder": 4}
                if name == first
                else {}
            ),
        }
        for n, name in enumerate(names)
    }


def plain(value: float, _=None) -> str:
    return f"{value:.9g}" if 1e-3 <= abs(value) < 1e7 else f"{value:.0e}"


def log_ticks(axis, low: float, high: float) -> None:
    """Plain numbers in 1-2-5 steps over up to three decades, in decades beyond."""
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    ticks = [m * 10.0**e for e in range(-6, 10) for m in steps]
    axis.set_major_locator(FixedLocator([t for t in ticks if low / 1.02 <= t <= high * 1.02]))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


class Data:
    """What the pictures draw: quoted rows and speed-ups of the report's device."""

    def __init__(self, report: dict, spec: dict):
        self.device = report["environment"].get("device", "cpu")
        name = report["environment"].get("device_name") or self.device
        threads = report["environment"].get("threads")
        commit = str(report["environment"].get("commit") or "unknown")[:12]
        # The second line of every title: whose figures these are.
        self.where = f"{name}, {threads} threads" if self.device == "cpu" else name
        self.where += f", commit {commit}"
        self.ceilings = report["ceilings"]
        self.environment = report["environment"]
        self.profiles = report.get("profiles") or []
        self.headline = spec["headline"]
        short = quote.short_shapes(report["rows"])
        quoted = quote.quoted(report["rows"], short).values()
        self.rows = [r for r in quoted if r["device"] == self.device and not r["error"]]
        self.baselines = {r["name"] for r in report["rows"] if r["baseline"]}
        ratios = [r for r in report["ratios"] if r["device"] == self.device and r["baseline"] in self.baselines]
        self.reference = {
            padding: self._reference(ratios, padding, wanted) for padding, wanted in spec["reference"].items()
        }
        of_reference = [r for r in ratios if r["baseline"] == self.reference.get(r["padding"])]
        known = quote.known_ratios(report["ratios"])
        # Over size and batch there may be no such baseline, but a pair of rows.
        in_pairs = [r for r in report["ratios"] if [r["baseline"], r["subject"]] in spec["pairs"]]
        self.pairs = [r for r in quote.quoted(in_pairs, short).values() if r["device"] == self.device]
        # A row that has no figure by the preferred clock of its fellows is drawn by its own: it says so in the table.
        self.speedups = [
            quote.hardest(quote.at_settings(r, known)) for r in quote.quoted(of_reference, short).values()
        ]
        # Baselines beside the reference, so that every line of the table can be found in a picture.
        self.subjects = [n for n in dict.fromkeys(r["name"] for r in report["rows"]) if n not in self.baselines]
        self.names = list(dict.fromkeys(r["name"] for r in report["rows"]))
        others = [n for n in self.names if n not in self.subjects and not n.endswith(quote.STOCK)]
        self.styles = styles(self.subjects + others, spec["headline"])

    @staticmethod
    def _reference(ratios: list[dict], padding: str, wanted: str) -> str | None:
        present = [r["baseline"] for r in ratios if r["padding"] == padding]
        return wanted if wanted in present else (sorted(present)[0] if present else None)

    @property
    def panels(self) -> list[tuple[str, str]]:
        have = {(r["padding"], r["mode"]) for r in self.rows}
        return [(p, m) for p in ("valid", "same") for m in ("infer", "train") if (p, m) in have]

    def over(self, axis: str) -> dict[tuple[str, str, str], list[dict]]:
        """(padding, mode, subject) -> speed-ups along an axis: "size" at one batch and channel count, or "batch" at one
        size and channel count; of all such cuts the one with the most points."""

        def fixed(r):
            if axis == "size":
                return (r["batch"], r["channels"])
            return (r["channels"], r["height"], r["width"])

        def moving(r):
            return (r["height"], r["width"]) if axis == "size" else r["batch"]

        cut = best_cut(self.speedups, fixed, moving)
        if cut is None:
            return {}
        lines: dict[tuple[str, str, str], list[dict]] = {}
        for r in sorted(self.speedups, key=quote.elements):
            if fixed(r) == cut:
                lines.setdefault((r["padding"], r["mode"], r["subject"]), []).append(r)
        return lines


def best_cut(entries: list[dict], fixed, moving):
    """What is held fixed where most points move, of those where most figures are, of those the smallest; None where
    nothing moves."""
    points: dict[tuple, list] = {}
    for r in entries:
        points.setdefault(fixed(r), []).append(moving(r))
    if not points:
        return None
    cut = min(points, key=lambda f: (-len(set(points[f])), -len(points[f]), f))
    return cut if len(set(points[cut])) > 1 else None


def size_ticks(axis, sizes: list[tuple[int, int]]) -> None:
    """Of an axis of pixels: a tick a size, slanted where there are many."""
    known = {h * w: size_text(h, w) for h, w in sizes}
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(sorted(known)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: known.get(round(x), "")))
    axis.xaxis.set_minor_locator(NullLocator())
    if len(known) > 4:
        for label in axis.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    axis.set_xlabel("image size (height × width, pixels)")


def size_text(height: int, width: int) -> str:
    return f"{height}²" if height == width else f"{height}×{width}"


def grid(data: Data, count: int, height: float = 3.6):
    columns = min(2, count)
    lines = (count + columns - 1) // columns
    figure, axes = plt.subplots(
        lines, columns, figsize=(5.4 * columns, height * lines + 0.8), squeeze=False, layout="constrained"
    )
    flat = list(axes.flat)
    for axis in flat[count:]:
        axis.set_visible(False)
    return figure, flat[:count]


def clocks(entries: list[dict]) -> str:
    """Which clock the drawn figures are by: "cold clock", or which shapes are by which; and what captured() says."""
    return _clocks(entries) + captured(entries)


def captured(entries: list[dict]) -> str:
    """What a title says of speed-ups of which some are over a baseline in a CUDA graph."""
    some = any("subject" in r and quote.is_captured(r["baseline"]) for r in entries)
    return "; baselines captured in a CUDA graph where faster" if some else ""


def _clocks(entries: list[dict]) -> str:
    shapes: dict[str, dict[str, None]] = {}
    for r in sorted(entries, key=quote.elements):
        shapes.setdefault(r["clock"], {})[quote.shape(r)] = None
    if len(shapes) == 1:
        return f"{next(iter(shapes))} clock"
    # Of the clocks the one with most shapes is "else".
    rest = max(shapes, key=lambda c: len(shapes[c]))
    told = [f"{clock}: {', '.join(of_clock)}" for clock, of_clock in shapes.items() if clock != rest]
    return f"{'; '.join(told)}; else {rest}"


def error_bars(r: dict) -> list[list[float]]:
    low, high = r["low"] or r["ratio"], r["high"] or r["ratio"]
    return [[max(0.0, r["ratio"] - low)], [max(0.0, high - r["ratio"])]]


def largest(entries: list[dict]) -> list[dict]:
    """Those of the problem size that most panels have, the largest of them."""
    shapes: dict[tuple, set] = {}
    for r in entries:
        shapes.setdefault((r["batch"], r["channels"], r["height"], r["width"]), set()).add((r["padding"], r["mode"]))
    if not shapes:
        return []
    best = max(shapes, key=lambda s: (len(shapes[s]), s[0] * s[1] * s[2] * s[3]))
    return [r for r in entries if (r["batch"], r["channels"], r["height"], r["width"]) == best]


def bars_across(axis, labels: list[str], values: list[float], ends: list[float], colours: list[str], texts: list[str],
                **options) -> None:  # fmt: skip
    """A bar a label; its text begins at its end, which an error bar may have put behind the value."""
    places = range(len(labels))
    axis.barh(places, values, color=colours, height=0.66, **options)
    axis.set_yticks(list(places), labels)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    for place, end, text in zip(places, ends, texts):
        axis.annotate(text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)
