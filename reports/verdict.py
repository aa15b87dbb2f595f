# SPDX-License-Identifier: MIT
"""The verdict on the published claim in one paragraph, from a report's data: for which shapes, modes and settings it
holds, with intervals, and where it is the host's time that is compared and not the kernels'."""

from __future__ import annotations

from reports import quote

PUBLISHED = "published"
# A call that takes this much longer by the wall clock than the GPU works on it is decided by the host.
HOST_SHARE = 1.5
WORDS = {"CONFIRMED": "It is confirmed", "EXCEEDED": "It is exceeded", "NOT CONFIRMED": "It is not reached",
         "AMBIGUOUS": "It stays open"}  # fmt: skip
MODES = {"infer": "inference", "train": "training"}


def _ratio(entry: dict) -> str:
    text = f"{entry['ratio']:.3g}×"
    return text if entry["low"] is None else f"{text} [{entry['low']:.3g}, {entry['high']:.3g}]"


def _problems(claims: list[dict]) -> str:
    """Shapes and ratios, grouped by mode and clock."""
    groups: dict[tuple, list[str]] = {}
    for claim in claims:
        about = (claim["mode"], claim["padding"], claim["baseline"], claim["clock"])
        groups.setdefault(about, []).append(f"{quote.shape(claim)} {_ratio(claim)}")
    return "; ".join(
        f"in {MODES[mode]}, `{padding}`, against `{baseline}` by the {clock} clock: {', '.join(shapes)}"
        for (mode, padding, baseline, clock), shapes in groups.items()
    )


def _against_stock(report: dict, claims: list[dict]) -> str:
    found = []
    for claim in claims:
        for ratio in report["ratios"]:
            if ratio["baseline"] == claim["baseline"] + "_stock" and ratio["subject"] == claim["measured_on"]:
                if quote.problem(ratio) == quote.problem(claim) and ratio["clock"] == claim["clock"]:
                    found.append(ratio["ratio"])
    if not found:
        return ""
    return f" Against the baselines as a plain import leaves them it is {min(found):.3g}× to {max(found):.3g}×."


def _host(report: dict, names: set[str]) -> str:
    """Where the wall clock is far above what the GPU does."""
    by_problem: dict[tuple, dict[str, dict]] = {}
    for row in report["rows"]:
        if row["name"] in names and not row["error"] and row["device"] == "cuda":
            by_problem.setdefault((row["name"], *quote.problem(row)), {})[row["clock"]] = row
    cases = []
    for (name, *_), clocks in by_problem.items():
        busy = min((r["seconds"] for c, r in clocks.items() if c in ("graph", "hot", "cold")), default=None)
        wall = clocks.get("wall")
        if wall and busy and wall["seconds"] > HOST_SHARE * busy:
            cases.append((wall["seconds"] / busy, name, wall, busy))
    if not cases:
        return ""
    cases.sort(key=lambda case: -case[0])
    shown = [
        f"`{name}` {MODES[row['mode']]}, `{row['padding']}`, {quote.shape(row)}: {1e6 * row['seconds']:.3g} µs by the "
        f"wall clock, {1e6 * busy:.3g} µs of work on the GPU"
        for _, name, row, busy in cases[:4]
    ]
    more = f" and {len(cases) - 4} more" if len(cases) > 4 else ""
    return f" Launch and host dominate, not the kernel, where a call is short: {'; '.join(shown)}{more}."


def paragraph(report: dict) -> str:
    """"" where the run has nothing of the published claim."""
    published = [c for c in report["claims"] if c["name"].startswith(PUBLISHED) and c["verdict"] != "NOT MEASURED"]
    if not published:
        return ""
    published = [{"measured_on": c["subject"], **c} for c in published]
    least, most = published[0]["range"]
    subjects = {c["measured_on"] for c in published}
    packages = sorted(s for s in subjects if s.endswith("(package)"))
    judged_on = (
        f"the package itself ({', '.join(packages)})"
        if packages
        else f"`{'`, `'.join(sorted(subjects))}`, which stands in for the package; intervals hold how the two compare"
    )
    text = (
        f"The published claim is {least:g}–{most:g}×. It is judged here on {judged_on}, against baselines at their "
        "best legal setting (cudnn.benchmark on, TF32 off as in the reference)."
    )
    for verdict, words in WORDS.items():
        of_verdict = [c for c in published if c["verdict"] == verdict]
        if of_verdict:
            text += f" {words} {_problems(of_verdict)}."
    names = {c["measured_on"] for c in published} | {c["baseline"] for c in published}
    return text + _against_stock(report, published) + _host(report, names)
