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
    best_cut,
    captured,
    clocks,
    grid,
    log_ticks,
    plt,
    size_text,
    size_ticks,
)


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
    cut = best_cut(rows, lambda r: (r["batch"], r["channels"]), lambda r: (r["height"], r["width"]))
    if cut is None:
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
        axis.set_yscale("log")
        axis.set_ylim(min(values) / 1.4, max(values) * 1.4)
        log_ticks(axis.yaxis, *axis.get_ylim())
        size_ticks(axis, sorted({(r["height"], r["width"]) for r in here}))
        axis.set_title(f"{MODES[panel[1]]}, padding {panel[0]}", fontsize=10)
        axis.set_ylabel("picoseconds per element")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(5, len(handles)))
    figure.suptitle(
        f"Time per element over size (batch {cut[0]}, {cut[1]} channels), {clocks(rows)}\n"
        f"{data.where}; floor: bytes and multiply-adds at this machine's ceilings",
        fontsize=11,
    )
    return figure


def _map_panel(data: Data, panel: tuple[str, str]) -> list[dict]:
    """The headline row's ratios of a panel: over the reference, or where that has less than half of the cells that a
    row beside it has, over that row."""
    here = [r for r in data.speedups if (r["padding"], r["mode"]) == panel and r["subject"] == data.headline]
    beside = [r for r in data.pairs if (r["padding"], r["mode"]) == panel and r["subject"] == data.headline]
    return beside if len(beside) > 2 * len(here) else here


def speedup_map(data: Data) -> Figure | None:
    """The headline row's speed-up over size and batch, at the channel count with most figures."""
    by_panel = {panel: _map_panel(data, panel) for panel in data.panels}
    shown = [r for entries in by_panel.values() for r in entries]
    cut = best_cut(
        shown, lambda r: (r["channels"] != 3, r["channels"]), lambda r: (r["batch"], r["height"], r["width"])
    )
    if cut is None:
        return None
    channels = cut[1]
    shown = [r for r in shown if r["channels"] == channels]
    sizes = sorted({(r["height"], r["width"]) for r in shown}, key=lambda s: s[0] * s[1])
    batches = sorted({r["batch"] for r in shown})
    if len(sizes) < 2 or len(batches) < 2:
        return None
    panels = [p for p, entries in by_panel.items() if any(r["channels"] == channels for r in entries)]
    figure, axes = grid(data, len(panels), height=1.1 + 0.42 * len(sizes))
    of_clock = Counter(r["clock"] for r in shown)
    usual = max(of_clock, key=of_clock.get)
    for axis, panel in zip(axes, panels):
        here = [r for r in by_panel[panel] if r["channels"] == channels]
        top = max(r["ratio"] for r in here)
        known = {(r["batch"], (r["height"], r["width"])): r for r in here}
        values = [[known[b, s]["ratio"] if (b, s) in known else float("nan") for b in batches] for s in sizes]
        axis.imshow(values, aspect="auto", cmap="viridis", vmin=0, vmax=top)
        axis.grid(False)
        for y, s in enumerate(sizes):
            for x, b in enumerate(batches):
                found = known.get((b, s))
                text = f"{found['ratio']:.3g}" if found else "–"
                text += f" {found['clock'][0]}" if found and found["clock"] != usual else ""
                dark = found is None or found["ratio"] > 0.6 * top
                axis.text(x, y, text, ha="center", va="center", fontsize=8, color="#000000" if dark else "#FFFFFF")
        axis.set_xticks(range(len(batches)), [str(b) for b in batches])
        axis.set_yticks(range(len(sizes)), [size_text(*s) for s in sizes])
        axis.set_xlabel("batch size (images)")
        baselines = " or ".join(dict.fromkeys(r["baseline"].removesuffix(quote.CAPTURED) for r in here))
        axis.set_title(f"{MODES[panel[1]]}, padding {panel[0]}: over {baselines}", fontsize=9)
    others = "".join(f"; {clock[0]}: {clock}" for clock in of_clock if clock != usual)
    figure.suptitle(
        f"Speed-up of {data.headline} over size and batch ({channels} channel{'s' if channels > 1 else ''}), {usual} "
        f"clock{others}{captured(shown)}\n{data.where}",
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
    texts = ["peak in one call, beyond images, mean and gradient", "kept for the backward, gradient included"]
    figure.legend(handles, texts, loc="outside lower center", ncols=2)
    figure.suptitle(f"Memory, {shape}\n{data.where}", fontsize=11)
    return figure
