# SPDX-License-Identifier: MIT
"""Figures that a run does not have: how many, and why."""

from __future__ import annotations

import re

# How the benchmark's reasons begin for a row that it would have timed with more time or memory (bench/session.cpp,
# bench/preparation.cpp); other reasons are of rows that do not support the problem.
FOR_WANT = ("too slow", "too large", "the set's ", "its workspace ", "its capture ", "all ", "not one sample")
# A figure that stands alone: neither in a name (fp32) nor in a shape (3x256x256).
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.])")


def for_want(reason: str) -> bool:
    return reason.startswith(FOR_WANT)


def lines(report: dict) -> list[dict]:
    """One line for each row and kind of reason, with how many figures it covers; figures in reasons as their range."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    for s in report["skipped"]:
        key = f"{s['device']}:{s['name']}", _NUMBER.sub("\0", s["reason"])
        found.setdefault(key, []).append(_NUMBER.findall(s["reason"]))
    out = []
    for (what, pattern), numbers in found.items():
        reason = pattern
        for values in zip(*numbers):
            least, most = min(values, key=float), max(values, key=float)
            reason = reason.replace("\0", least if float(least) == float(most) else f"{least} to {most}", 1)
        out.append({"what": what, "reason": reason.replace("|", "\\|"), "count": len(numbers)})
    return out


def sentence(report: dict) -> str:
    """What is missing for want of time or memory; "" where nothing is."""
    missing = sum(for_want(s["reason"]) for s in report["skipped"])
    if not missing:
        return ""
    return f"{missing} of {missing + len(report['rows'])} figures are missing for want of time or memory"
