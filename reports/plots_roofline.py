# SPDX-License-Identifier: MIT
"""The roofline: what each row reaches, beside what memory, multiply-adds, tensor cores and instruction issue allow.

Across: multiply-adds of the row's design (its cost model; those of the convolutions, whatever unit does them) for a
byte of DRAM, as the profiler counted bytes or else as the cost model has them. Up: such multiply-adds a second, in the
row's measured time. Roofs that hold for all rows:

* DRAM: the copy rate measured in the run;
* FMA: the rate of fp32 multiply-adds measured in the run;
* issue: four instructions a clock and multiprocessor, at the measured clock, if each were a multiply-add;
* tensor: the rate of fp16 products with fp32 sums measured in the run. A convolution at fp32 accuracy takes several
  such products and a banded matrix is mostly zeros, so no row can come near it in multiply-adds that count.

What a unit allows a row is lower, for a row needs more than its multiply-adds. Where the row was profiled, a tick above
its point says where it would be with that unit used at 100 %: its figure over the part of the unit's peak that it used.
"""

from __future__ import annotations

import math

from reports import quote
from reports.drawing import MODES, Data, Figure, grid, largest, log_ticks, plt

SCHEDULERS, LANES = 4, 32  # a multiprocessor issues four warp instructions a clock, since compute capability 7.0
UNITS = {"issue": ("#CC79A7", "issue slots"), "tensor": ("#E69F00", "tensor cores"), "fma": ("#D55E00", "FMA pipe")}
ROOFS = {
    "FMA": ({"color": "#D55E00"}, "fp32 FMA, measured"),
    "issue": ({"color": "#CC79A7", "linestyle": "--"}, "issue, if every instruction were an FMA"),
    "tensor": ({"color": "#E69F00"}, "tensor cores, fp16 products, measured"),
}
LABEL_GAP = 0.027  # between labels, of the height of the axes


def roofs(data: Data) -> dict[str, float]:
    """Giga multiply-adds a second; "dram" in GB/s. Only what is known."""
    ceilings, known = data.ceilings, data.environment
    found = {"dram": ceilings.get("copy_gb_s"), "FMA": (ceilings.get("fma_gflop_s") or 0) / 2,
             "tensor": (ceilings.get("tensor_gflop_s") or 0) / 2}  # fmt: skip
    if data.device == "cuda" and known.get("multiprocessors") and known.get("sm_clock_mhz"):
        found["issue"] = SCHEDULERS * LANES * known["multiprocessors"] * known["sm_clock_mhz"] * 1e-3
    return {name: value for name, value in found.items() if value}


def shown_rows(data: Data) -> list[dict]:
    """Rows of one problem size and padding: those profiled, else of the largest size the padding with most."""
    rows = [r for r in data.rows if r["settings"] == "best"]
    profiled = {(p["shape"], p["padding"]) for p in data.profiles}
    here = [r for r in rows if (_shape(r), r["padding"]) in profiled]
    chosen = largest(here or rows)
    count = {padding: sum(r["padding"] == padding for r in chosen) for padding in ("same", "valid")}
    return [r for r in chosen if r["padding"] == max(count, key=lambda padding: count[padding])]


def _shape(row: dict) -> str:
    return "x".join(str(row[f]) for f in ("batch", "channels", "height", "width"))


def points(data: Data, rows: list[dict]) -> list[dict]:
    """name, intensity (multiply-adds a byte), rate (1e9 a second), ticks by unit, whether its bytes were counted."""
    profiled = {(p["name"], p["mode"], p["padding"], p["shape"]): p for p in data.profiles}
    found = []
    for row in rows:
        cost, elements = row["cost"] or {}, quote.elements(row)
        profile = profiled.get((row["name"], row["mode"], row["padding"], _shape(row)), {})
        moved = profile.get("dram_bytes") or (cost.get("dram_bytes") or 0) / elements
        if not moved or not cost.get("fma"):
            continue
        fma = cost["fma"] / elements
        rate = 1e3 * fma / row["ps_per_element"]
        ticks = {unit: rate / (profile[unit] / 100) for unit in UNITS if profile.get(unit, 0) >= 1}
        known = {"name": row["name"], "ps": row["ps_per_element"], "baseline": row["baseline"]}
        place = {"intensity": fma / moved, "rate": rate, "ticks": ticks, "profiled": "dram_bytes" in profile}
        found.append(known | place)
    return found


def _apart(values: list[float], gap: float) -> list[float]:
    """Sorted numbers moved as little as it takes for neighbours to be `gap` apart."""
    places = list(values)
    for _ in range(500):
        for n in range(len(places) - 1):
            lack = gap - (places[n + 1] - places[n])
            if lack > 1e-9:
                places[n] -= lack / 2
                places[n + 1] += lack / 2
    return places


def _label(axis, shown: list[dict], right: float) -> None:
    """Names at the right edge, apart from one another, each with a line to its point."""
    low, high = (math.log(y) for y in axis.get_ylim())
    ordered = sorted(shown, key=lambda p: (p["rate"], p["name"]))
    heights = _apart([math.log(p["rate"]) for p in ordered], LABEL_GAP * (high - low))
    for point, height in zip(ordered, heights):
        ps = point["ps"]
        axis.annotate(
            f"{point['name']}  {ps:.3g} ps" if ps < 1000 else f"{point['name']}  {ps:.0f} ps",
            (point["intensity"], point["rate"]),
            xytext=(right, math.exp(height)),
            textcoords="data",
            va="center",
            fontsize=8,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4},
        )


def roofline(data: Data) -> Figure | None:
    limits = roofs(data)
    shown = shown_rows(data)
    by_mode = {m: points(data, [r for r in shown if r["mode"] == m]) for m in MODES}
    modes = [m for m in MODES if by_mode[m]]
    if not {"dram", "FMA"} <= limits.keys() or not modes:
        return None
    every = [p for found in by_mode.values() for p in found]
    figure, axes = grid(data, len(modes), height=6.2)
    figure.set_size_inches(7.4 * len(modes), 7.0)
    left = min(p["intensity"] for p in every) / 1.7
    right = max([p["intensity"] for p in every] + [2 * limits["FMA"] / limits["dram"]]) * 1.5
    top = max(v for k, v in limits.items() if k != "dram") * 1.5
    bottom = min(p["rate"] for p in every) / 1.7
    for axis, mode in zip(axes, modes):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlim(left, right)
        axis.set_ylim(bottom, top)
        reach = max(v for k, v in limits.items() if k != "dram")
        corner = min(reach / limits["dram"], right)
        axis.plot([left, corner], [left * limits["dram"], corner * limits["dram"]], color="#009E73", linewidth=2)
        axis.text(left * 1.2, left * 1.4 * limits["dram"], "DRAM, copy rate measured", fontsize=8, color="#009E73",
                  rotation=math.degrees(math.atan(limits["dram"])), rotation_mode="anchor",
                  transform_rotates_text=True)  # fmt: skip
        for name, (style, _) in ROOFS.items():
            if name in limits:
                start = min(limits[name] / limits["dram"], right)
                axis.plot([start, right], [limits[name]] * 2, linewidth=1.8, **style)
        for point in by_mode[mode]:
            colour = "#000000" if point["baseline"] else "#0072B2"
            axis.plot(
                point["intensity"],
                point["rate"],
                "s" if point["baseline"] else "o",
                color=colour,
                markersize=7,
                markerfacecolor=colour if point["profiled"] else "white",
                markeredgewidth=1.6,
                zorder=3,
            )
            for unit, y in point["ticks"].items():
                axis.plot(point["intensity"], y, color=UNITS[unit][0], marker="_", markersize=14, markeredgewidth=2.4)
        _label(axis, by_mode[mode], right * 1.04)
        log_ticks(axis.xaxis, left, right)
        log_ticks(axis.yaxis, bottom, top)
        axis.set_title(f"{MODES[mode]}, padding {shown[0]['padding']}", fontsize=10)
        axis.set_xlabel("multiply-adds for each byte of DRAM")
        axis.set_ylabel("10⁹ multiply-adds a second")
    line = plt.Line2D
    roof_lines = [(line([], [], linewidth=1.8, **style), text) for n, (style, text) in ROOFS.items() if n in limits]
    handles = [line([], [], color=c, marker=m, linestyle="", markersize=7, markerfacecolor=f, markeredgewidth=1.6)
               for c, m, f in (("#0072B2", "o", "white"), ("#000000", "s", "white"))]  # fmt: skip
    words = ["measured time, bytes by its cost model", "the same, baseline"]
    if any(p["profiled"] for p in every):
        handles.append(line([], [], color="#0072B2", marker="o", linestyle="", markersize=7))
        words.append("bytes by the profiler")
        for unit, (colour, name) in UNITS.items():
            if any(unit in p["ticks"] for p in every):
                handles.append(line([], [], color=colour, marker="_", linestyle="", markersize=14, markeredgewidth=2.4))
                words.append(f"its time if {name} were at 100 %")
    missing = [] if "tensor" in limits or data.device == "cpu" else ["tensor cores' rate not measured in this run"]
    handles, words = [*(h for h, _ in roof_lines), *handles], [*(t for _, t in roof_lines), *words]
    figure.legend(handles, words, loc="outside lower center", ncols=3)
    note = "; ".join([data.where, *missing])
    figure.suptitle(f"Roofline, {quote.shape(shown[0])}\n{note}", fontsize=11)
    return figure
