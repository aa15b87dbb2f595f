# SPDX-License-Identifier: MIT
"""The report's pictures, from report.json's content alone. PNG and SVG, the same bytes for the same data."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator  # noqa: E402

from reports import quote  # noqa: E402

# Okabe and Ito's colours, told apart by all common kinds of colour vision; markers tell them apart without colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
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


def _styles(names: list[str], first: str) -> dict[str, dict]:
    """`first` is drawn over the others, with a hollow marker, so that the row that it equals still shows."""
    return {
        name: {
            "color": COLOURS[n % len(COLOURS)],
            "marker": MARKERS[n % len(MARKERS)],
            **(
                {"markersize": 10, "markerfacecolor": "none", "markeredgewidth": 1.8, "zorder": 4}
                if name == first
                else {}
            ),
        }
        for n, name in enumerate(names)
    }


def _plain(value: float, _=None) -> str:
    return f"{value:g}" if 1e-3 <= abs(value) < 1e5 else f"{value:.0e}"


def _log_ticks(axis, low: float, high: float) -> None:
    """Plain numbers in 1-2-5 steps over up to two decades, in decades beyond."""
    steps = (1, 2, 5) if high / low < 120 else (1,)
    ticks = [m * 10.0**e for e in range(-6, 10) for m in steps]
    axis.set_major_locator(FixedLocator([t for t in ticks if low / 1.02 <= t <= high * 1.02]))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


class Data:
    """What the pictures draw: quoted rows and speed-ups of the report's device."""

    def __init__(self, report: dict, spec: dict):
        self.device = report["environment"].get("device", "cpu")
        self.device_name = report["environment"].get("device_name") or self.device
        self.ceilings = report["ceilings"]
        self.rows = [r for r in quote.quoted(report["rows"]).values() if r["device"] == self.device and not r["error"]]
        self.baselines = {r["name"] for r in report["rows"] if r["baseline"]}
        ratios = [r for r in report["ratios"] if r["device"] == self.device and r["baseline"] in self.baselines]
        self.reference = {
            padding: self._reference(ratios, padding, wanted) for padding, wanted in spec["reference"].items()
        }
        of_reference = [r for r in ratios if r["baseline"] == self.reference.get(r["padding"])]
        # A row that has no figure by the preferred clock of its fellows is drawn by its own: it says so in the table.
        self.speedups = list(quote.quoted(of_reference).values())
        # Baselines beside the reference, so that every line of the table can be found in a picture.
        self.subjects = [n for n in dict.fromkeys(r["name"] for r in report["rows"]) if n not in self.baselines]
        self.names = list(dict.fromkeys(r["name"] for r in report["rows"]))
        self.styles = _styles(self.subjects, spec["headline"])

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

        points: dict[tuple, set] = {}
        for r in self.speedups:
            points.setdefault(fixed(r), set()).add(moving(r))
        if not points:
            return {}
        cut = max(points, key=lambda f: (len(points[f]), f))
        if len(points[cut]) < 2:
            return {}
        lines: dict[tuple[str, str, str], list[dict]] = {}
        for r in sorted(self.speedups, key=quote.elements):
            if fixed(r) == cut:
                lines.setdefault((r["padding"], r["mode"], r["subject"]), []).append(r)
        return lines


def _grid(data: Data, count: int, height: float = 3.6):
    columns = min(2, count)
    lines = (count + columns - 1) // columns
    figure, axes = plt.subplots(
        lines, columns, figsize=(5.4 * columns, height * lines + 0.8), squeeze=False, layout="constrained"
    )
    flat = list(axes.flat)
    for axis in flat[count:]:
        axis.set_visible(False)
    return figure, flat[:count]


def _error_bars(r: dict) -> list[list[float]]:
    low, high = r["low"] or r["ratio"], r["high"] or r["ratio"]
    return [[max(0.0, r["ratio"] - low)], [max(0.0, high - r["ratio"])]]


def _lines(data: Data, axis_name: str, x_of, x_label: str, tick_of, title: str) -> Figure | None:
    lines = data.over(axis_name)
    if not lines:
        return None
    panels = [p for p in data.panels if any(k[:2] == p for k in lines)]
    figure, axes = _grid(data, len(panels))
    handles: dict[str, object] = {}
    fixed = next(iter(lines.values()))[0]
    what = (
        f"batch {fixed['batch']}, {fixed['channels']} channel" + ("s" if fixed["channels"] > 1 else "")
        if axis_name == "size"
        else f"{fixed['channels']}×{fixed['height']}×{fixed['width']} each"
    )
    for axis, (padding, mode) in zip(axes, panels):
        drawn = {k[2]: v for k, v in lines.items() if k[:2] == (padding, mode)}
        xs = sorted({x_of(r) for v in drawn.values() for r in v})
        for name in data.subjects:
            points = drawn.get(name, [])
            if not points:
                continue
            bars = [_error_bars(r) for r in points]
            handles[name] = axis.errorbar(
                [x_of(r) for r in points],
                [r["ratio"] for r in points],
                yerr=[[b[0][0] for b in bars], [b[1][0] for b in bars]],
                capsize=3,
                linewidth=1.6,
                **data.styles[name],
            )
        axis.axhline(1, color="#444444", linewidth=1, linestyle="--")
        axis.set_xscale("log")
        axis.set_yscale("log")
        values = [1.0] + [r["ratio"] for v in drawn.values() for r in v]
        axis.set_ylim(min(values) / 1.5, max(values) * 1.5)
        _log_ticks(axis.yaxis, *axis.get_ylim())
        axis.xaxis.set_major_locator(FixedLocator(xs))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _, drawn=drawn: tick_of(x, drawn)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.margins(x=0.08)
        axis.set_title(f"{MODES[mode]}, padding {padding}", fontsize=10)
        axis.set_xlabel(x_label)
        axis.set_ylabel(f"times faster than {data.reference[padding]}")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(6, len(handles)))
    figure.suptitle(f"{title} ({what})\n{data.device_name}", fontsize=11)
    return figure


def speedup_by_resolution(data: Data) -> Figure | None:
    def tick(x, drawn):
        found = next((r for v in drawn.values() for r in v if r["height"] * r["width"] == round(x)), None)
        if not found:
            return ""
        return f"{found['height']}²" if found["height"] == found["width"] else f"{found['height']}×{found['width']}"

    return _lines(
        data,
        "size",
        lambda r: r["height"] * r["width"],
        "image size (height × width, pixels)",
        tick,
        "Speed-up by resolution",
    )


def speedup_by_batch(data: Data) -> Figure | None:
    return _lines(
        data, "batch", lambda r: r["batch"], "batch size (images)", lambda x, _: f"{x:g}", "Speed-up by batch"
    )


def _largest(entries: list[dict]) -> list[dict]:
    """Those of the problem size that most panels have, the largest of them."""
    shapes: dict[tuple, set] = {}
    for r in entries:
        shapes.setdefault((r["batch"], r["channels"], r["height"], r["width"]), set()).add((r["padding"], r["mode"]))
    if not shapes:
        return []
    best = max(shapes, key=lambda s: (len(shapes[s]), s[0] * s[1] * s[2] * s[3]))
    return [r for r in entries if (r["batch"], r["channels"], r["height"], r["width"]) == best]


def _bars(axis, labels: list[str], values: list[float], colours: list[str], texts: list[str], **options) -> None:
    places = range(len(labels))
    axis.barh(places, values, color=colours, height=0.66, **options)
    axis.set_yticks(list(places), labels)
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    for place, value, text in zip(places, values, texts):
        axis.annotate(text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5)


def speedup_by_padding_and_mode(data: Data) -> Figure | None:
    shown = _largest(data.speedups)
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in shown)]
    if not panels:
        return None
    most = max(sum((r["padding"], r["mode"]) == p for r in shown) for p in panels)
    figure, axes = _grid(data, len(panels), height=0.9 + 0.36 * most)
    for axis, (padding, mode) in zip(axes, panels):
        here = sorted((r for r in shown if (r["padding"], r["mode"]) == (padding, mode)), key=lambda r: -r["ratio"])
        bars = [_error_bars(r) for r in here]
        _bars(
            axis,
            [r["subject"] for r in here],
            [r["ratio"] for r in here],
            [data.styles[r["subject"]]["color"] for r in here],
            [f"{r['ratio']:.3g}× ({r['clock']})" if data.device != "cpu" else f"{r['ratio']:.3g}×" for r in here],
            xerr=[[b[0][0] for b in bars], [b[1][0] for b in bars]],
            error_kw={"ecolor": "#444444", "capsize": 2},
        )
        axis.axvline(1, color="#444444", linewidth=1, linestyle="--")
        axis.set_xlim(0, max([1.0, *(r["high"] or r["ratio"] for r in here)]) * 1.24)
        axis.set_title(f"{MODES[mode]}, padding {padding}", fontsize=10)
        axis.set_xlabel(f"times faster than {data.reference[padding]}")
    figure.suptitle(f"Speed-up by padding and mode, {quote.shape(shown[0])}\n{data.device_name}", fontsize=11)
    return figure


def time_against_ceilings(data: Data) -> Figure | None:
    shown = _largest([r for r in data.rows if r["settings"] == "best"])
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in shown)]
    if not panels:
        return None
    most = max(sum((r["padding"], r["mode"]) == p for r in shown) for p in panels)
    figure, axes = _grid(data, len(panels), height=0.9 + 0.36 * most)
    floors = {"memory": ("#009E73", "|"), "arithmetic": ("#D55E00", "|")}
    for axis, (padding, mode) in zip(axes, panels):
        here = sorted(
            (r for r in shown if (r["padding"], r["mode"]) == (padding, mode)), key=lambda r: r["ps_per_element"]
        )
        values: list[float] = []
        for place, r in enumerate(here):
            time, cost = r["ps_per_element"], r["cost"] or {}
            rates = {
                "memory": (cost.get("dram_bytes"), data.ceilings["copy_gb_s"]),
                "arithmetic": (2 * (cost.get("fma") or 0), data.ceilings["fma_gflop_s"]),
            }
            least = {k: 1e3 * a / rate / quote.elements(r) for k, (a, rate) in rates.items() if a and rate}
            values += [time, *least.values()]
            if least:
                # From what it could take at best to what it takes.
                axis.plot([max(least.values()), time], [place, place], color="#999999", linewidth=1.4, zorder=1)
            for kind, floor in least.items():
                axis.plot(
                    floor, place, color=floors[kind][0], marker=floors[kind][1], markersize=13, markeredgewidth=2.6
                )
            axis.plot(
                time,
                place,
                "s" if r["baseline"] else "o",
                color="#000000" if r["baseline"] else "#0072B2",
                markersize=7,
            )
            axis.annotate(
                f"{time:.3g}" + ("" if r["converged"] else "*"),
                (time, place),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        axis.set_yticks(range(len(here)), [r["name"] for r in here])
        axis.invert_yaxis()
        axis.margins(y=0.08)
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 1.5, max(values) * (max(values) / min(values)) ** 0.16)
        _log_ticks(axis.xaxis, *axis.get_xlim())
        axis.set_title(f"{MODES[mode]}, padding {padding}", fontsize=10)
        axis.set_xlabel("picoseconds per element")
    line = plt.Line2D
    handles = [
        line([], [], color="#0072B2", marker="o", linestyle="", markersize=7),
        line([], [], color="#000000", marker="s", linestyle="", markersize=7),
        *(
            line([], [], color=c, marker=m, linestyle="", markersize=13, markeredgewidth=2.6)
            for c, m in floors.values()
        ),
    ]
    texts = ["measured", "measured, baseline", "its bytes at the copy rate", "its multiply-adds at the FMA rate"]
    figure.legend(handles, texts, loc="outside lower center", ncols=4)
    more = "; * did not converge" if any(not r["converged"] for r in shown) else ""
    figure.suptitle(
        f"Time per element against what the ceilings of this machine allow, {quote.shape(shown[0])}\n"
        f"{data.device_name}{more}",
        fontsize=11,
    )
    return figure


PICTURES = {
    "speedup_by_resolution": speedup_by_resolution,
    "speedup_by_batch": speedup_by_batch,
    "speedup_by_padding_and_mode": speedup_by_padding_and_mode,
    "time_against_ceilings": time_against_ceilings,
}


def draw(report: dict, spec: dict, folder: Path) -> dict[str, str]:
    """Writes what the data allows; picture -> "" or the reason why there is none."""
    drawn = {}
    with plt.rc_context(STYLE):
        data = Data(report, spec)
        for name, picture in PICTURES.items():
            figure = picture(data)
            for ending in ("png", "svg"):
                path = folder / f"{name}.{ending}"
                path.unlink(missing_ok=True)
                if figure is not None:
                    metadata = {"Software": None} if ending == "png" else {"Date": None, "Creator": None}
                    figure.savefig(path, metadata=metadata)
            drawn[name] = "" if figure is not None else "this run has too few shapes for it"
            if figure is not None:
                plt.close(figure)
    return drawn
