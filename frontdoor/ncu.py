# SPDX-License-Identifier: MIT
"""Nsight Compute's CSV (page raw) as a table of what matters for a row, and what limits it. Page source:
profile_lines.py."""

from __future__ import annotations

import csv
import io
import re

# metric -> (label, divisor: "element" or a number, unit)
METRICS = {
    "gpu__time_duration.sum": ("duration", 1e-6, "us"),
    "dram__bytes_read.sum": ("DRAM read", "element", "B/element"),
    "dram__bytes_write.sum": ("DRAM written", "element", "B/element"),
    "smsp__inst_executed.sum": ("warp instructions × 32", "threads", "per element"),
    "smsp__issue_active.avg.pct_of_peak_sustained_active": ("issue slots used", 1, "%"),
    "sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active": ("FMA pipe", 1, "%"),
    "sm__inst_executed_pipe_alu.avg.pct_of_peak_sustained_active": ("ALU pipe", 1, "%"),
    "sm__inst_executed_pipe_lsu.avg.pct_of_peak_sustained_active": ("LSU pipe", 1, "%"),
    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active": ("tensor pipe", 1, "%"),
    "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed": ("DRAM throughput", 1, "%"),
    "sm__warps_active.avg.pct_of_peak_sustained_active": ("occupancy reached", 1, "%"),
    "launch__registers_per_thread": ("registers", 1, "a thread"),
    "launch__shared_mem_per_block": ("shared memory", 1, "B a block"),
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld.sum": ("shared conflicts, loads", "element", "per element"),
    "l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st.sum": ("shared conflicts, stores", "element", "per element"),
    "launch__grid_size": ("blocks", 1, ""),
    "launch__block_size": ("threads", 1, "a block"),
}
SCALES = {"byte": 1.0, "kbyte": 1e3, "mbyte": 1e6, "gbyte": 1e9, "tbyte": 1e12,
          "nsecond": 1e-9, "usecond": 1e-6, "msecond": 1e-3, "second": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3,
          "s": 1.0}  # fmt: skip
STALL = re.compile(r"smsp__average_warps_issue_stalled_(\w+?)_per_issue_active\.ratio")
PIPES = {label: metric for metric, (label, *_) in METRICS.items() if label.endswith(" pipe")}
DRAM = "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"
ISSUE = "smsp__issue_active.avg.pct_of_peak_sustained_active"
BOUND = 70  # per cent of its peak from which a unit counts as what limits a kernel
TOP = 3


def number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def short(name: str) -> str:
    """Without namespaces, result and parameters: 'void <unnamed>::f<1>(<unnamed>::Shape)' is 'f<1>'."""
    name = re.sub(r"(<?unnamed>|\(anonymous namespace\)|\b[a-z_]+)::", "", name)
    return name.split("(")[0].removeprefix("void ").strip() or name


def read_csv(text: str) -> list[dict]:
    """A kernel an entry: {"name": ..., metric: value in base units, "stalls": {reason: warps}}. Lines before the header
    are passed over."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return []
    records = list(csv.reader(io.StringIO("\n".join(lines[start:]))))
    header, units, kernels = records[0], records[1], []
    for record in records[2:]:
        if len(record) != len(header):
            continue
        values = dict(zip(header, record))
        kernel: dict = {"name": short(values.get("Kernel Name", "?")), "stalls": {}}
        for metric, unit in zip(header, units):
            value, stall = number(values[metric]), STALL.fullmatch(metric)
            if value is None:
                continue
            if metric in METRICS:
                kernel[metric] = value * SCALES.get(unit.lower().split("/")[0], 1.0)
            elif stall and stall[1] != "selected":
                kernel["stalls"][stall[1].replace("_", " ")] = value
        kernels.append(kernel)
    return kernels


def _scaled(kernel: dict, metric: str, elements: int) -> float:
    divisor = METRICS[metric][1]
    if divisor == "element":
        return kernel[metric] / elements
    if divisor == "threads":
        return kernel[metric] * 32 / elements
    return kernel[metric] / divisor


def bytes_per_element(kernels: list[dict], elements: int) -> float | None:
    """Of all launches; None where one does not report it."""
    names = ("dram__bytes_read.sum", "dram__bytes_write.sum")
    if any(n not in k for k in kernels for n in names):
        return None
    return sum(k[n] for k in kernels for n in names) / elements


def figures(kernels: list[dict], elements: int) -> dict:
    """What a roofline needs, of all launches: bytes and thread instructions an element, and the parts of their peaks
    that issue slots and pipes reach, weighted by the launches' durations. What is not reported is absent."""
    found: dict = {}
    if (moved := bytes_per_element(kernels, elements)) is not None:
        found["dram_bytes"] = moved
    if all("smsp__inst_executed.sum" in k for k in kernels):
        found["instructions"] = sum(_scaled(k, "smsp__inst_executed.sum", elements) for k in kernels)
    seconds = sum(k.get("gpu__time_duration.sum", 0) for k in kernels)
    parts = {"issue": ISSUE, "dram": DRAM, **{label.removesuffix(" pipe").lower(): m for label, m in PIPES.items()}}
    for what, metric in parts.items():
        if seconds and all(metric in k for k in kernels):
            found[what] = sum(k[metric] * k["gpu__time_duration.sum"] for k in kernels) / seconds
    return found


def longest(kernels: list[dict]) -> dict:
    """The launch that takes most of the time."""
    return max(kernels, key=lambda k: k.get("gpu__time_duration.sum", 0))


def stalls(kernel: dict) -> list[tuple[str, float]]:
    """The reasons for which most warps wait, as parts of all waiting."""
    total = sum(kernel["stalls"].values())
    ordered = sorted(kernel["stalls"].items(), key=lambda item: -item[1])[:TOP]
    return [(reason, value / total) for reason, value in ordered if total]


def limit(kernels: list[dict]) -> str:
    """One sentence, of the longest launch."""
    kernel = longest(kernels)
    used = {"DRAM bandwidth": kernel.get(DRAM), "issue slots": kernel.get(ISSUE)}
    used |= {f"the {label}": kernel.get(metric) for label, metric in PIPES.items()}
    known = {what: value for what, value in used.items() if value is not None}
    if not known:
        return f"What limits `{kernel['name']}` cannot be said: this run reports no utilisation."
    what, most = max(known.items(), key=lambda item: item[1])
    if most >= BOUND:
        return f"`{kernel['name']}` is limited by {what}, {most:.0f} % of which it uses."
    waiting = stalls(kernel)
    why = f"warps wait mostly for {waiting[0][0]} ({100 * waiting[0][1]:.0f} % of all waiting)" if waiting else ""
    occupancy = kernel.get("sm__warps_active.avg.pct_of_peak_sustained_active")
    if occupancy is not None:
        why += ("; " if why else "") + f"occupancy is {occupancy:.0f} %"
    sentence = f"`{kernel['name']}` is limited by latency: no unit is above {BOUND} % (most used: {what}, {most:.0f} %)"
    return f"{sentence}; {why}." if why else f"{sentence}."


def table(kernels: list[dict], elements: int, cost: dict | None = None, lines: list[tuple[str, float]] = (),
          no_lines: str = "") -> str:  # fmt: skip
    """For the terminal. `cost`: the row's own model, for the whole problem. `no_lines`: why there are no `lines`."""
    text = []
    for kernel in kernels:
        text.append(kernel["name"])
        for metric, (label, _, unit) in METRICS.items():
            value = f"{_scaled(kernel, metric, elements):12.4g}" if metric in kernel else f"{'not reported':>12s}"
            text.append(f"  {label:24s} {value} {unit}".rstrip())
        for reason, part in stalls(kernel):
            text.append(f"  {'stalled: ' + reason:24s} {100 * part:12.4g} % of all waiting")
    measured = bytes_per_element(kernels, elements)
    if measured is not None:
        model = "" if not cost else f"; the row's cost model says {cost['dram_bytes'] / elements:.3g}"
        text.append(f"DRAM bytes per element, all {len(kernels)} launches: {measured:.3g}{model}")
    text += [f"  {100 * part:4.0f} % of stall samples at: {line}" for line, part in lines]
    text += [f"no lines with stall samples: {no_lines}"] if no_lines else []
    return "\n".join([*text, limit(kernels).replace("`", "")])


def section(title: str, about: str, command: str, kernels: list[dict], elements: int, cost: dict | None,
            lines: list[tuple[str, float]], no_lines: str = "") -> str:  # fmt: skip
    """The same for a page, below a line about the recording: metrics down, launches across. Of many launches the
    longest ones, and how many there are."""
    shown = sorted(kernels, key=lambda k: -k.get("gpu__time_duration.sum", 0))[:4] if len(kernels) > 4 else kernels
    text = [f"## {title}", "", f"{about} {limit(kernels)}", "", f"`{command}`", ""]
    if len(shown) < len(kernels):
        text += [f"The {len(shown)} longest of {len(kernels)} launches.", ""]
    text += ["| | " + " | ".join(f"`{k['name']}`" for k in shown) + " |", "|---|" + "---:|" * len(shown)]
    for metric, (label, _, unit) in METRICS.items():
        cells = [f"{_scaled(k, metric, elements):.4g}" if metric in k else "not reported" for k in shown]
        text.append(f"| {label}{', ' + unit if unit else ''} | " + " | ".join(cells) + " |")
    waiting = ["; ".join(f"{reason} {100 * part:.0f} %" for reason, part in stalls(k)) or "–" for k in shown]
    text.append("| top stalls, part of all waiting | " + " | ".join(waiting) + " |")
    measured = bytes_per_element(kernels, elements)
    model = "–" if not cost else f"{cost['dram_bytes'] / elements:.3g}"
    told = "not reported" if measured is None else f"{measured:.3g}"
    text += ["", f"DRAM bytes per element, all {len(kernels)} launches: {told}; by the row's cost model {model}."]
    if lines:
        text += ["", "Lines with most stall samples:", ""]
        text += [f"* {100 * part:.0f} %: `{line.replace('`', '')}`" for line, part in lines]
    elif no_lines:
        text += ["", f"No lines with stall samples: {no_lines}."]
    return "\n".join(text) + "\n"
