# SPDX-License-Identifier: MIT
"""Pictures of what a sweep has and a single problem has not: time against the floor over size, the map of speed-ups
over size and batch, and memory."""

from __future__ import annotations

from collections import Counter

from reports import quote
from reports.drawing import (
    MODES,
    Data,
    Figure,
    FixedLocator,
    FuncFormatter,
    NullLocator,
    clocks,
    grid,
    log_ticks,
    plt,
)


def size_text(height: int, width: int) -> str:
    return f"{height}²" if height == width else f"{height}×{width}"


def _floor(data: Data, row: dict) -> float | None:
    """Picoseconds an element that the row's bytes and multiply-adds take at the ceilings of its run, the larger."""
    cost = row["cost"] or {}
    rates = ((cost.get("dram_bytes"), data.ceilings["copy_gb_s"]),
             (2 * (cost.get("fma") or 0), data.ceilings["fma_gflop_s"]))  # fmt: skip
    least = [1e3 * amount / rate / quote.elements(row) for amount, rate in rates if amount and rate]
    return max(least) if least else None


def time_over_size(data: Data) -> Figure | None:
    """Rows at one batch and channel count over the image's size; the headline row's floor below."""
    rows = [r for r in data.rows if r["settings"] == "best"]
    points: dict[tuple, set] = {}
    for r in rows:
        points.setdefault((r["batch"], r["channels"]), set()).add((r["height"], r["width"]))
    if not points:
        return None
    cut = max(points, key=lambda f: (len(points[f]), f))
    if len(points[cut]) < 2:
        return None
    rows = [r for r in rows if (r["batch"], r["channels"]) == cut]
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in rows)]
    figure, axes = grid(data, len(panels))
    names = list(dict.fromkeys(r["name"] for r in rows))
    handles: dict[str, object] = {}
    for axis, panel in zip(axes, panels):
        values: list[float] = []
        here = [r for r in rows if (r["padding"], r["mode"]) == panel]
        for name in names:
            line = sorted((r for r in here if r["name"] == name), key=quote.elements)
            if not line:
                continue
            values += [r["ps_per_element"] for r in line]
            (handles[name],) = axis.plot(
                [r["height"] * r["width"] for r in line],
                [r["ps_per_element"] for r in line],
                linewidth=1.5,
                **data.styles[name],
            )
            floors = [(r["height"] * r["width"], _floor(data, r)) for r in line if name == data.headline]
            floors = [(x, y) for x, y in floors if y]
            if floors:
                values += [y for _, y in floors]
                (handles[f"floor of {name}"],) = axis.plot(*zip(*floors), color="#009E73", linestyle=":", linewidth=2)
        sizes = sorted({(r["height"] * r["width"], size_text(r["height"], r["width"])) for r in here})
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(min(values) / 1.4, max(values) * 1.4)
        log_ticks(axis.yaxis, *axis.get_ylim())
        axis.xaxis.set_major_locator(FixedLocator([x for x, _ in sizes]))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _, known=dict(sizes): known.get(round(x), "")))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{MODES[panel[1]]}, padding {panel[0]}", fontsize=10)
        axis.set_xlabel("image size (height × width, pixels)")
        axis.set_ylabel("picoseconds per element")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))
    figure.suptitle(
        f"Time per element over size (batch {cut[0]}, {cut[1]} channels), {clocks(rows)}\n"
        f"{data.where}; floor: bytes and multiply-adds at this machine's ceilings",
        fontsize=11,
    )
    return figure


def speedup_map(data: Data) -> Figure | None:
    """The headline row's speed-up over size and batch, at the channel count with most points."""
    shown = [r for r in data.speedups if r["subject"] == data.headline]
    cells: dict[int, set] = {}
    for r in shown:
        cells.setdefault(r["channels"], set()).add((r["batch"], r["height"], r["width"]))
    cells = {c: s for c, s in cells.items() if len({x[0] for x in s}) > 1 and len({x[1:] for x in s}) > 1}
    if not cells:
        return None
    channels = max(cells, key=lambda c: (len(cells[c]), c))
    shown = [r for r in shown if r["channels"] == channels]
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in shown)]
    sizes = sorted({(r["height"], r["width"]) for r in shown}, key=lambda s: s[0] * s[1])
    batches = sorted({r["batch"] for r in shown})
    figure, axes = grid(data, len(panels), height=1.1 + 0.42 * len(sizes))
    top = max(r["ratio"] for r in shown)
    of_clock = Counter(r["clock"] for r in shown)
    usual = max(of_clock, key=of_clock.get)
    for axis, panel in zip(axes, panels):
        known = {(r["batch"], (r["height"], r["width"])): r for r in shown if (r["padding"], r["mode"]) == panel}
        values = [[known[b, s]["ratio"] if (b, s) in known else float("nan") for b in batches] for s in sizes]
        axis.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=top)
        axis.grid(False)
        for y, s in enumerate(sizes):
            for x, b in enumerate(batches):
                found = known.get((b, s))
                text = f"{found['ratio']:.3g}" if found else "–"
                text += f" ({found['clock']})" if found and found["clock"] != usual else ""
                dark = found is None or found["ratio"] > 0.6 * top
                axis.text(x, y, text, ha="center", va="center", fontsize=8, color="#000000" if dark else "#FFFFFF")
        axis.set_xticks(range(len(batches)), [str(b) for b in batches])
        axis.set_yticks(range(len(sizes)), [size_text(*s) for s in sizes])
        axis.set_xlabel("batch size (images)")
        axis.set_title(f"{MODES[panel[1]]}, padding {panel[0]}: over {data.reference[panel[0]]}", fontsize=10)
    figure.suptitle(
        f"Speed-up of {data.headline} over size and batch ({channels} channels), {usual} clock if not said otherwise\n"
        f"{data.where}",
        fontsize=11,
    )
    return figure


def _memory_text(row: dict, elements: int) -> str:
    """Bytes an element where there are some, else the kilobytes in all; what is kept where it is not in the peak."""
    peak, kept = row["peak_bytes"], row.get("kept_bytes")
    text = f"{peak / elements:.3g}" if peak > 0.01 * elements else f"{1e-3 * peak:.3g} kB in all"
    if kept is not None:
        told = f"{kept / elements:.3g}" if kept > 0.01 * elements else f"{1e-3 * kept:.3g} kB"
        text += f", keeps {told}"
    return text


def memory_by_row(data: Data) -> Figure | None:
    """Peak memory beyond inputs and outputs and what training keeps, per element, at the largest problem."""
    rows = [r for r in data.rows if r["settings"] == "best" and r.get("peak_bytes") is not None]
    if not rows:
        return None
    size = max(quote.elements(r) for r in rows)
    rows = [r for r in rows if quote.elements(r) == size]
    shape = quote.shape(rows[0])
    rows = [r for r in rows if quote.shape(r) == shape]
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in rows)]
    most = max(sum((r["padding"], r["mode"]) == p for r in rows) for p in panels)
    figure, axes = grid(data, len(panels), height=0.9 + 0.36 * most)
    for axis, panel in zip(axes, panels):
        here = sorted((r for r in rows if (r["padding"], r["mode"]) == panel), key=lambda r: r["peak_bytes"])
        each = [r["peak_bytes"] / size for r in here]
        kept = [(r.get("kept_bytes") or 0) / size for r in here]
        places = list(range(len(here)))
        axis.barh(places, each, color="#56B4E9", height=0.66)
        axis.barh(places, kept, color="#0072B2", height=0.3)
        for place, r in zip(places, here):
            value = max(r["peak_bytes"], r.get("kept_bytes") or 0) / size
            axis.annotate(_memory_text(r, size), (value, place), xytext=(4, 0), textcoords="offset points",
                          va="center", fontsize=8.5)  # fmt: skip
        axis.set_yticks(places, [r["name"] for r in here])
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set_xlim(0, max([1e-3, *each, *kept]) * 1.3)
        axis.set_title(f"{MODES[panel[1]]}, padding {panel[0]}", fontsize=10)
        axis.set_xlabel("bytes per element")
    handles = [plt.Rectangle((0, 0), 1, 1, color=c) for c in ("#56B4E9", "#0072B2")]
    texts = ["peak in one call, beyond images, mean and gradient", "kept between forward and backward, gradient included"]
    figure.legend(handles, texts, loc="outside lower center", ncols=2)
    figure.suptitle(f"Memory, {shape}\n{data.where}", fontsize=11)
    return figure
