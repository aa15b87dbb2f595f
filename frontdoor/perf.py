# SPDX-License-Identifier: MIT
"""Instructions and cache misses of a CPU row by Linux perf.

A process that runs the row once and one that runs it some times more differ by those calls alone: what verification and
start-up count is on both sides.
"""

from __future__ import annotations

import shutil
import subprocess

EVENTS = ("instructions:u", "cycles:u", "cache-references:u", "cache-misses:u", "L1-dcache-load-misses:u")
CALLS = 20


class Refused(Exception):
    """perf is missing, or counts nothing here."""


def parse(text: str) -> dict[str, float]:
    """Of `perf stat -x,`: event -> count; what is not counted or not supported is left out."""
    found = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].replace(".", "").isdigit():
            found[fields[2]] = float(fields[0])
    return found


def commands(command: list[str]) -> list[list[str]]:
    """What is run to count: the benchmark's command, without --calls, with one call and with CALLS more. Raises Refused
    where there is no perf."""
    tool = shutil.which("perf")
    if tool is None:
        raise Refused("perf is not installed")
    counting = [tool, "stat", "-x,", "-e", ",".join(EVENTS), "--", *command, "--calls"]
    return [[*counting, "1"], [*counting, str(1 + CALLS)]]


def _count(command: list[str], env: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(command, env={**env, "LC_ALL": "C"}, capture_output=True, text=True)
    found = parse(done.stderr)
    if done.returncode or not found:
        told = [line for line in done.stderr.strip().splitlines() if line and not line.startswith("#")]
        raise Refused("perf counts nothing here: " + "; ".join(told[:3] or ["no message"]))
    return found


def table(once: dict[str, float], more: dict[str, float], calls: int, elements: int) -> str:
    lines = []
    for event in EVENTS:
        if event in once and event in more:
            each = (more[event] - once[event]) / calls / elements
            lines.append(f"  {event.removesuffix(':u'):24s} {each:12.4g} per element")
        else:
            lines.append(f"  {event.removesuffix(':u'):24s} {'not counted':>12s}")
    return "\n".join(lines)


def measure(command: list[str], env: dict[str, str], elements: int) -> str:
    """`command` is the benchmark's, without --calls. Raises Refused."""
    once, more = (_count(counting, env) for counting in commands(command))
    return table(once, more, CALLS, elements)
