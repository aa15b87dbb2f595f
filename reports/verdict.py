# SPDX-License-Identifier: MIT
"""The verdict on the published claim in words, from a report's data: for which shapes, modes and settings it holds,
with intervals, and where it is the host's time that is compared and not the kernels'."""

from __future__ import annotations

from reports import quote
from reports.claims import PACKAGE, PACKAGES

PUBLISHED = "published"
# A call that takes this much longer by the wall clock than the GPU works on it is decided by the host.
HOST_SHARE = 1.5
WORDS = {"CONFIRMED": "confirmed", "EXCEEDED": "exceeded", "NOT CONFIRMED": "not reached", "AMBIGUOUS": "open"}
MODES = {"infer": "inference", "train": "training"}


def _ratio(entry: dict) -> str:
    text = f"{entry['ratio']:.3g}×"
    return text if entry["low"] is None else f"{text} [{entry['low']:.3g}, {entry['high']:.3g}]"


def _range(values: list[float]) -> str:
    ends = list(dict.fromkeys(f"{value:.3g}×" for value in (min(values), max(values))))
    return " to ".join(ends)


def _by_clock(claims: list[dict], text_of) -> str:
    """"1×3×1080×1920 7.5× [7.2, 7.9] by the cold clock, ... by the wall clock"."""
    clocks = dict.fromkeys(c["clock"] for c in claims)
    told = [(clock, ", ".join(text_of(c) for c in claims if c["clock"] == clock)) for clock in clocks]
    return "; ".join(f"{shapes} by the {clock} clock" for clock, shapes in told)


def _predicate(verdict: str) -> str:
    return f"{'stays' if verdict == 'AMBIGUOUS' else 'is'} {WORDS[verdict]}"


def _sentence(claims: list[dict], report: dict) -> str:
    """On the claims of one mode, padding and baseline: one by one, or together where all come to the same."""
    first = claims[0]
    text = f"In {MODES[first['mode']]}, `{first['padding']}`, against `{first['baseline']}` it "
    verdicts = [v for v in WORDS if any(c["verdict"] == v for c in claims)]
    if len(claims) > 2 and len(verdicts) == 1 and all(c["low"] is not None for c in claims):
        ends = f"[{min(c['low'] for c in claims):.3g}, {max(c['high'] for c in claims):.3g}]"
        ratios = _range([c["ratio"] for c in claims])
        text += f"{_predicate(verdicts[0])} throughout, {ratios}, all intervals within {ends}: "
        text += _by_clock(claims, quote.shape)
    else:
        parts = []
        for verdict in verdicts:
            of_verdict = [c for c in claims if c["verdict"] == verdict]
            shapes = _by_clock(of_verdict, lambda c: f"{quote.shape(c)} {_ratio(c)}")
            parts.append(f"{_predicate(verdict)} at {shapes}")
        text += "; it ".join(parts)
    text += _settings(claims)
    stock = _over_stock(report, claims)
    return text + (f" (as a plain import leaves the baseline: {_range(stock)})." if stock else ".")


def _in_short(claims: list[dict]) -> str:
    """The same in a few words, without shapes."""
    first = claims[0]
    counts = {v: sum(c["verdict"] == v for c in claims) for v in WORDS}
    verdicts = ", ".join(f"{WORDS[v]} at {n} of {len(claims)}" for v, n in counts.items() if n)
    ends = [c[end] for c in claims for end in ("low", "high") if c[end] is not None]
    within = f", intervals within [{min(ends):.3g}, {max(ends):.3g}]" if ends else ""
    ratios = _range([c["ratio"] for c in claims])
    return f"{MODES[first['mode']]}, `{first['padding']}`, over `{first['baseline']}`: {verdicts} ({ratios}{within})"


def _settings(claims: list[dict]) -> str:
    """At which of its settings the baseline was taken, where that is not the tuned one."""
    text = ""
    for setting in dict.fromkeys(c["setting"] for c in claims if c["setting"] != "tuned"):
        of_setting = [c for c in claims if c["setting"] == setting]
        where = "" if len(of_setting) == len(claims) else f" at {_by_clock(of_setting, quote.shape)}"
        text += f"; the baseline is at its best {setting}{where}"
    return text


def _over_stock(report: dict, claims: list[dict]) -> list[float]:
    """The same ratios over the baseline as it comes, as far as the run has them."""
    return [
        ratio["ratio"]
        for claim in claims
        for ratio in report["ratios"]
        if ratio["baseline"] == claim["baseline"] + quote.STOCK
        and ratio["subject"] == claim["measured_on"]
        and quote.problem(ratio) == quote.problem(claim)
        and ratio["clock"] == claim["clock"]
    ]


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:.0f} µs" if seconds >= 100e-6 else f"{1e6 * seconds:.3g} µs"


def _host(report: dict, names: set[str]) -> str:
    """"" or where the wall clock is far above what the GPU does."""
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
        f"`{name}` {MODES[row['mode']]}, `{row['padding']}`, {quote.shape(row)}: {_us(row['seconds'])} by the "
        f"wall clock, {_us(busy)} of work on the GPU"
        for _, name, row, busy in cases[:4]
    ]
    more = f" and {len(cases) - 4} more" if len(cases) > 4 else ""
    return f"Launch and host dominate: {'; '.join(shown)}{more}."


def _over_packages(report: dict) -> str:
    """What our operator gains over the composed package itself at its fastest, both called through Python; "" where the
    package was not there."""
    peers = report["peers"] or {}
    settings = PACKAGES["pytorch_mssim"]
    found: dict[str, dict[str, list[dict]]] = {}
    for ratio in peers.get("ratios", []):
        if ratio["subject"] == "operator" and ratio["baseline"] in settings and ratio["clock"] == "wall":
            found.setdefault(ratio["mode"], {}).setdefault(quote.shape(ratio), []).append(ratio)
    parts = []
    for mode, shapes in found.items():
        best = {shape: quote.hardest(ratios) for shape, ratios in shapes.items()}
        told = [
            f"{shape} {_ratio(r)}" + ("" if settings[r["baseline"]] == "tuned" else f" ({settings[r['baseline']]})")
            for shape, r in best.items()
        ]
        parts.append(f"{MODES[mode]} {', '.join(told)}")
    if not parts:
        return ""
    what = peers["systems"].get("pytorch_msssim (package)", {}).get("what", "pytorch-msssim")
    return f"`operator` over {what} itself at its fastest, both through Python, by the wall clock: {'; '.join(parts)}."


def _judged_on(published: list[dict]) -> str:
    """The package itself, what stands in for it, or both."""
    stand_ins = sorted({c["measured_on"] for c in published} - {PACKAGE})
    told = [f"the package itself ({PACKAGE})"] if any(c["measured_on"] == PACKAGE for c in published) else []
    if stand_ins:
        told.append(f"{', '.join(f'`{name}`' for name in stand_ins)}, which stands in for the package")
    return ", elsewhere on ".join(told)


def _compared(published: list[dict]) -> str:
    """Whether it is known how stand-in and package compare, and where not."""
    on_stand_in = [c for c in published if c["measured_on"] != PACKAGE]
    unknown: dict[tuple, list[dict]] = {}
    for claim in on_stand_in:
        if claim.get("not_comparable"):
            unknown.setdefault((claim["mode"], claim["padding"], claim["not_comparable"]), []).append(claim)
    cases = [
        f"{MODES[mode]}, `{padding}`, {_by_clock(of_case, quote.shape)}: {reason}"
        for (mode, padding, reason), of_case in unknown.items()
    ]
    known = sum(map(len, unknown.values())) < len(on_stand_in)
    if not cases:
        return " Intervals hold how the two compare." if known else ""
    text = "Intervals hold how the two compare where that is known. It is not" if known else (
        "How the two compare is not known"
    )
    return f" {text}, so that the verdict stays open, in {'; '.join(cases)}."


def _best_setting(report: dict, published: list[dict]) -> str:
    """What the baselines may have been helped by."""
    ways = ["cudnn.benchmark on"]
    if any(quote.is_captured(r["baseline"]) for r in report["ratios"]):
        ways.append("captured in a CUDA graph where that is faster")
    if any(c["measured_on"] == PACKAGE for c in published):
        ways.append("through torch.compile where that is faster")
    return ", ".join([*ways, "TF32 off as in the reference"])


def text(report: dict) -> str:
    """A paragraph: how the claim is judged, and the verdicts in short; and a list: a point for each mode, padding and
    baseline with shapes and settings, and one on the host. "" where the run has nothing of the published claim."""
    published = [c for c in report["claims"] if c["name"].startswith(PUBLISHED) and c["verdict"] != "NOT MEASURED"]
    if not published:
        return ""
    published = [{"measured_on": c["subject"], **c} for c in published]
    least, most = published[0]["range"]
    how = (
        f"The published claim is {least:g}–{most:g}×. It is judged here on {_judged_on(published)}, against baselines "
        f"at their best legal setting ({_best_setting(report, published)}).{_compared(published)}"
    )
    groups: dict[tuple, list[dict]] = {}
    for claim in published:
        groups.setdefault((claim["mode"], claim["padding"], claim["baseline"]), []).append(claim)
    how += f" In short: {'; '.join(_in_short(claims) for claims in groups.values())}."
    names = {c["measured_on"] for c in published} | {c["baseline"] for c in published}
    host = _host(report, names)
    how += " Where calls are short, launch and host dominate, not the kernel." if host else ""
    points = [*(_sentence(claims, report) for claims in groups.values()), _over_packages(report), host]
    return "\n".join([how, "", *(f"* {point}" for point in points if point)])
