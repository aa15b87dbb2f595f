# SPDX-License-Identifier: MIT
"""Nsight Compute's CSV (page raw) into a table of what matters for a row."""

from __future__ import annotations

import csv
import io
import re

# metric -> (label, divisor: "element" or a number, unit)
METRICS = {
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
    "launch__grid_size": ("blocks", 1, ""),
    "launch__block_size": ("threads", 1, "a block"),
}
SCALES = {"byte": 1.0, "kbyte": 1e3, "mbyte": 1e6, "gbyte": 1e9, "tbyte": 1e12}


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def _short(name: str) -> str:
    """Without namespaces, result and parameters: 'void <unnamed>::f<1>(<unnamed>::Shape)' is 'f<1>'."""
    name = re.sub(r"(<?unnamed>|\(anonymous namespace\)|\b[a-z_]+)::", "", name)
    return name.split("(")[0].removeprefix("void ").strip() or name


def read_csv(text: str) -> list[dict]:
    """A kernel an entry: {"name": ..., metric: value in base units}. Lines before the header are passed over."""
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
        kernel: dict = {"name": _short(values.get("Kernel Name", "?"))}
        for metric, unit in zip(header, units):
            value = _number(values[metric]) if metric in METRICS else None
            if value is not None:
                kernel[metric] = value * SCALES.get(unit.lower().split("/")[0], 1.0)
        kernels.append(kernel)
    return kernels


def table(kernels: list[dict], elements: int) -> str:
    lines = []
    for kernel in kernels:
        lines.append(kernel["name"])
        for metric, (label, divisor, unit) in METRICS.items():
            if metric not in kernel:
                lines.append(f"  {label:24s} {'not reported':>12s}")
                continue
            scale = {"element": 1 / elements, "threads": 32 / elements}.get(divisor, 1.0) if divisor != 1 else 1.0
            lines.append(f"  {label:24s} {kernel[metric] * scale:12.4g} {unit}")
    both = [k["dram__bytes_read.sum"] + k["dram__bytes_write.sum"] for k in kernels
            if "dram__bytes_read.sum" in k and "dram__bytes_write.sum" in k]  # fmt: skip
    if len(both) == len(kernels):
        lines.append(f"DRAM bytes per element, all {len(kernels)} launches: {sum(both) / elements:.3g}")
    return "\n".join(lines)
