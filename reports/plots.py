# SPDX-License-Identifier: MIT
"""The report's pictures, from report.json's content alone. PNG and SVG, the same bytes for the same data."""

from __future__ import annotations

from pathlib import Path

from reports import quote
from reports.drawing import (
    MODES,
    STYLE,
    Data,
    Figure,
    FixedLocator,
    FuncFormatter,
    NullLocator,
    bars_across,
    captured,
    clocks,
    error_bars,
    grid,
    largest,
    log_ticks,
    plain,
    plt,
    size_ticks,
)
from reports.plots_roofline import roofline
from reports.plots_sweep import memory_by_row, speedup_map, time_over_size


def _lines(data: Data, axis_name: str, x_of, title: str) -> Figure | None:
    lines = data.over(axis_name)
    if not lines:
        return None
    panels = [p for p in data.panels if any(k[:2] == p for k in lines)]
    figure, axes = grid(data, len(panels))
    handles: dict[str, object] = {}
    fixed = next(iter(lines.values()))[0]
    what = (
        f"batch {fixed['batch']}, {fixed['channels']} channel" + ("s" if fixed["channels"] > 1 else "")
        if axis_name == "size"
        else f"{fixed['channels']}×{fixed['height']}×{fixed['width']} each"
    )
    for axis, (padding, mode) in zip(axes, panels):
        drawn = {k[2]: v for k, v in lines.items() if k[:2] == (padding, mode)}
        here = [r for line in drawn.values() for r in line]
        for name in data.subjects:
            points = drawn.get(name, [])
            if not points:
                continue
            bars = [error_bars(r) for r in points]
            handles[name] = axis.errorbar(
                [x_of(r) for r in points],
                [r["ratio"] for r in points],
                yerr=[[b[0][0] for b in bars], [b[1][0] for b in bars]],
                capsize=3,
                linewidth=1.6,
                **data.styles[name],
            )
        axis.axhline(1, color="#444444", linewidth=1, linestyle="--")
        axis.set_yscale("log")
        values = [1.0] + [r["ratio"] for r in here]
        axis.set_ylim(min(values) / 1.5, max(values) * 1.5)
        log_ticks(axis.yaxis, *axis.get_ylim())
        if axis_name == "size":
            size_ticks(axis, sorted({(r["height"], r["width"]) for r in here}))
        else:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(FixedLocator(sorted({x_of(r) for r in here})))
            axis.xaxis.set_major_formatter(FuncFormatter(plain))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("batch size (images)")
        axis.margins(x=0.08)
        axis.set_title(f"{MODES[mode]}, padding {padding}", fontsize=10)
        axis.set_ylabel(f"times faster than {data.reference[padding]}")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(6, len(handles)))
    everything = [r for line in lines.values() for r in line]
    figure.suptitle(f"{title} ({what}), {clocks(everything)}\n{data.where}", fontsize=11)
    return figure


def speedup_by_resolution(data: Data) -> Figure | None:
    return _lines(data, "size", lambda r: r["height"] * r["width"], "Speed-up by resolution")


def speedup_by_batch(data: Data) -> Figure | None:
    return _lines(data, "batch", lambda r: r["batch"], "Speed-up by batch")


def speedup_by_padding_and_mode(data: Data) -> Figure | None:
    shown = largest(data.speedups)
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in shown)]
    if not panels:
        return None
    most = max(sum((r["padding"], r["mode"]) == p for r in shown) for p in panels)
    figure, axes = grid(data, len(panels), height=0.9 + 0.36 * most)
    several = len({r["clock"] for r in shown}) > 1
    for axis, (padding, mode) in zip(axes, panels):
        here = sorted((r for r in shown if (r["padding"], r["mode"]) == (padding, mode)), key=lambda r: -r["ratio"])
        bars = [error_bars(r) for r in here]
        bars_across(
            axis,
            [r["subject"] for r in here],
            [r["ratio"] for r in here],
            [max(r["ratio"], r["high"] or 0) for r in here],
            [data.styles[r["subject"]]["color"] for r in here],
            [f"{r['ratio']:.3g}×" + (f" ({r['clock']})" if several else "") for r in here],
            xerr=[[b[0][0] for b in bars], [b[1][0] for b in bars]],
            error_kw={"ecolor": "#444444", "capsize": 2},
        )
        axis.axvline(1, color="#444444", linewidth=1, linestyle="--")
        axis.set_xlim(0, max([1.0, *(r["high"] or r["ratio"] for r in here)]) * 1.24)
        axis.set_title(f"{MODES[mode]}, padding {padding}", fontsize=10)
        axis.set_xlabel(f"times faster than {data.reference[padding]}")
    clock = captured(shown) if several else f", {clocks(shown)}"
    figure.suptitle(f"Speed-up by padding and mode, {quote.shape(shown[0])}{clock}\n{data.where}", fontsize=11)
    return figure


def time_against_ceilings(data: Data) -> Figure | None:
    shown = largest([r for r in data.rows if r["settings"] == "best"])
    panels = [p for p in data.panels if any((r["padding"], r["mode"]) == p for r in shown)]
    if not panels:
        return None
    most = max(sum((r["padding"], r["mode"]) == p for r in shown) for p in panels)
    figure, axes = grid(data, len(panels), height=0.9 + 0.36 * most)
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
        log_ticks(axis.xaxis, *axis.get_xlim())
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
        f"Time per element against what the ceilings allow, {quote.shape(shown[0])}, {clocks(shown)}\n"
        f"{data.where}{more}",
        fontsize=11,
    )
    return figure


PICTURES = {
    "speedup_by_resolution": speedup_by_resolution,
    "speedup_by_batch": speedup_by_batch,
    "speedup_by_padding_and_mode": speedup_by_padding_and_mode,
    "time_against_ceilings": time_against_ceilings,
    "roofline": roofline,
    "time_over_size": time_over_size,
    "speedup_map": speedup_map,
    "memory_by_row": memory_by_row,
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
            drawn[name] = "" if figure is not None else "this run has too little for it"
            if figure is not None:
                plt.close(figure)
    return drawn
