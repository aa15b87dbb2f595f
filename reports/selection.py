# SPDX-License-Identifier: MIT
"""From measured times to kernels/selection_table.hpp: which row production prefers, by shape class.

A shape class is the alignment of rows of pixels (4, 8 or 16 bytes: what a load may be wide), the width (rows cut images
into strips of their own width) and the elements for each multiprocessor (below some thousands the launch decides, then
how evenly the work can be cut). Bounds are fixed, below. In each cell rows stand in the order of their times:

* the order of the whole mode and padding first (geometric mean over all problems of time / best time);
* one row goes before another that stands before it only where it is faster beyond the noise: by more than the floor of
  the gate (1 % on a GPU, 3 % on a CPU), with the intervals of both medians apart, over the problems of the cell that
  both have. So a table does not change from run to run where it does not matter.

A cell without figures takes those of the nearest cell of its alignment; an alignment without any those of the next one.
Equal neighbours become one line.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from frontdoor.commit import label
from reports import quote

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "kernels" / "selection_table.hpp"
NO_LIMIT = "no_limit"
ALIGNMENTS = (16, 8, 4)
# Where cells are empty: from which alignment they take their figures.
STAND_IN = {16: (8, 4), 8: (4, 16), 4: (8, 16)}
MODES, PADDINGS = ("infer", "train"), ("same", "valid")
# Upper bounds; the last has none. Widths: one, two and four strips of 128 columns. Elements for each multiprocessor in
# steps of about three: 1x3x512x512 has 6000 on an H200, 1x3x1080x1920 47000; on the CPU elements of the whole problem.
WIDTHS = {"cuda": (128, 256, 512, None), "cpu": (None,)}
LOADS = {"cuda": (3_000, 10_000, 30_000, 100_000, None), "cpu": (None,)}
FLOOR = {"cuda": 0.01, "cpu": 0.03}
SHOWN = 3  # problems whose figures stand in a line
MOST_ROWS = 6  # SelectionLine::kMostRows


class Unusable(ValueError):
    """The file holds no figures for a table, and why."""


class Class(NamedTuple):
    """A device class: a CUDA compute capability, or the CPU."""

    device: str
    capability: int

    def text(self) -> str:
        return "cpu" if self.device == "cpu" else f"cuda {self.capability // 10}.{self.capability % 10}"

    def slug(self) -> str:
        return self.text().replace(" ", "-")


@dataclass
class Source:
    """A file of figures and what it is of."""

    path: Path
    rows: str  # regular expression of candidates, where the file itself does not say which they are; else ""
    of: Class
    multiprocessors: int
    environment: dict
    figures: list[dict]  # one a row and problem, by the clock that the problem is quoted by

    def where(self) -> str:
        try:
            return str(self.path.resolve().relative_to(ROOT))
        except ValueError:
            return str(self.path)

    def line(self) -> str:
        known = self.environment
        about = [known.get("device_name") or known.get("cpu") or "unknown device"]
        if known.get("driver"):
            about.append(f"driver {known['driver']}")
        commit = label(str(known.get("commit") or "")[:12], known.get("dirty"))
        about += [f"commit {commit}", str(known.get("date") or "no date")[:10]]
        rows = f" --rows {self.rows}" if self.rows else ""
        return f"// source {self.of.text()}: {self.where()}{rows} ({', '.join(about)})"


def load(path: Path, rows: str = "") -> Source:
    """Figures of a tuning file or of a report.json; the latter does not know candidates and needs `rows`.

    Raises OSError, and Unusable where the file is something else or has nothing for a table.
    """
    try:
        data = json.loads(Path(path).read_text())
        environment, entries = data["environment"], data["rows"]
        device = environment["device"]
        if device == "cpu":
            of, multiprocessors = Class("cpu", 0), 1
        else:
            major, minor = str(environment["capability"]).split(".")
            of, multiprocessors = Class(device, 10 * int(major) + int(minor)), int(environment["multiprocessors"])
        known = [e for e in entries if e["device"] == device and not e.get("error") and e.get("ps_per_element")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{path} is neither a tuning file nor a report.json: {type(error).__name__}: {error}") from None
    if rows:
        known = [e for e in known if re.fullmatch(rows, e["name"])]
    elif any("candidate" not in e for e in known):
        raise Unusable(f"{path} does not say which rows meet production's accuracy; name them with --rows REGEX")
    else:
        known = [e for e in known if e["candidate"]]
    timed = [e | {"seconds": 1e-12 * e["ps_per_element"] * quote.elements(e)} for e in known]
    figures = list(quote.quoted(timed, quote.short_shapes(timed)).values())
    if not figures:
        raise Unusable(f"{path} has no figure of a candidate" + (f" that matches {rows}" if rows else ""))
    return Source(Path(path), rows, of, multiprocessors, environment, figures)


def alignment(width: int) -> int:
    return 16 if width % 4 == 0 else 8 if width % 2 == 0 else 4


def _index(bounds: tuple, value: float) -> int:
    return next(i for i, bound in enumerate(bounds) if bound is None or value <= bound)


def cell(source: Source, entry: dict) -> tuple[int, int, int]:
    """Alignment, index of the width's class, index of the load's."""
    load_each = math.ceil(quote.elements(entry) / source.multiprocessors)
    device = source.of.device
    return alignment(entry["width"]), _index(WIDTHS[device], entry["width"]), _index(LOADS[device], load_each)


Problems = dict[tuple, dict[str, dict]]  # problem -> row -> figure


def _problems(source: Source, mode: str, padding: str) -> Problems:
    found: Problems = {}
    for entry in source.figures:
        if entry["mode"] == mode and entry["padding"] == padding:
            found.setdefault(quote.problem(entry), {})[entry["name"]] = entry
    return found


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def default_order(problems: Problems) -> list[str]:
    """Rows by the geometric mean of time / best time over the problems that they have."""
    over: dict[str, list[float]] = {}
    for rows in problems.values():
        best = min(e["ps_per_element"] for e in rows.values())
        for name, entry in rows.items():
            over.setdefault(name, []).append(math.log(entry["ps_per_element"] / best))
    return sorted(over, key=lambda name: (_mean(over[name]), name))


def faster(problems: Problems, first: str, second: str, floor: float) -> bool:
    """Whether `first` beats `second` beyond the noise over the problems that have both."""
    both = [(rows[first], rows[second]) for rows in problems.values() if first in rows and second in rows]
    if not both:
        return False
    ratio = _mean([math.log(a["ps_per_element"] / b["ps_per_element"]) for a, b in both])
    worst = _mean([math.log((a.get("ci_high") or a["ps_per_element"]) / (b.get("ci_low") or b["ps_per_element"]))
                   for a, b in both])  # fmt: skip
    return ratio < math.log(1 - floor) and worst < 0


def order(problems: Problems, default: list[str], floor: float) -> tuple[str, ...]:
    """The rows of a cell, fastest first; behind them those that have no figure in it."""
    present = [name for name in default if any(name in rows for rows in problems.values())]
    placed: list[str] = []
    for name in present:
        at = len(placed)
        while at > 0 and faster(problems, name, placed[at - 1], floor):
            at -= 1
        placed.insert(at, name)
    return tuple((placed + [name for name in default if name not in placed])[:MOST_ROWS])


def _time(ps: float) -> str:
    return f"{ps:.3g}" if ps < 1000 else f"{ps:.0f}"


@dataclass
class Line:
    """A line of the table, as kernels/selection.hpp has it."""

    of: Class
    mode: str
    padding: str
    alignments: int
    widest: int | None
    largest: int | None
    rows: tuple[str, ...]
    evidence: list[dict] = field(default_factory=list)  # problems: {row: figure}
    assumed: str = ""  # where there is no figure: what stands in

    def bounds(self) -> tuple:
        return self.widest, self.largest, self.rows

    def figures(self) -> str:
        problems = sorted(self.evidence, key=lambda rows: quote.elements(next(iter(rows.values()))))
        if not problems:
            return f"no figure; as {self.assumed}"
        count = len(problems)
        shown = problems if count <= SHOWN else [problems[0], problems[count // 2], problems[-1]]
        texts = []
        for rows in shown:
            one = next(iter(rows.values()))
            times = ", ".join(f"{name} {_time(rows[name]['ps_per_element'])}" for name in self.rows if name in rows)
            texts.append(f"{one['batch']}x{one['channels']}x{one['height']}x{one['width']} {one['clock']}: {times}")
        more = f"; {count - len(shown)} more" if count > len(shown) else ""
        return "; ".join(texts) + " ps an element" + more

    def code(self) -> str:
        limits = ", ".join(NO_LIMIT if n is None else str(n) for n in (self.widest, self.largest))
        names = ", ".join(f'"{name}"' for name in self.rows)
        boundaries = " | ".join(str(a) for a in reversed(ALIGNMENTS) if a & self.alignments)
        return (
            f"    {{Device::{self.of.device}, {self.of.capability}, Mode::{self.mode}, Padding::{self.padding}, "
            f"{boundaries}, {limits}, {{{names}}},\n     \"{self.figures()}\"}},"
        )

    def matches(self, of: Class, mode: str, padding: str, row_alignment: int, width: int, load_each: float) -> bool:
        return (
            (self.of, self.mode, self.padding) == (of, mode, padding)
            and bool(self.alignments & row_alignment)
            and (self.widest is None or width <= self.widest)
            and (self.largest is None or load_each <= self.largest)
        )


def _nearest(measured: dict[tuple[int, int], Problems], width: int, load_class: int) -> tuple[int, int]:
    return min(measured, key=lambda at: (abs(at[0] - width) + abs(at[1] - load_class), -at[1], -at[0]))


def _merged(lines: list[Line], bound: str) -> list[Line]:
    """Neighbours that differ in one upper bound alone become the one with the larger bound."""
    done: list[Line] = []
    for line in lines:
        if done and done[-1].rows == line.rows:
            line.evidence = done[-1].evidence + line.evidence
            line.assumed = line.assumed or done[-1].assumed
            done[-1] = line
        else:
            done.append(line)
    assert getattr(done[-1], bound) is None
    return done


def _lines_of(source: Source, mode: str, padding: str) -> list[Line]:
    device = source.of.device
    problems = _problems(source, mode, padding)
    default = default_order(problems)
    widths, loads = WIDTHS[device], LOADS[device]
    grids: dict[int, dict[tuple[int, int], Problems]] = {a: {} for a in ALIGNMENTS}
    for problem, rows in problems.items():
        one = next(iter(rows.values()))
        row_alignment, width, load_class = cell(source, one)
        grids[row_alignment].setdefault((width, load_class), {})[problem] = rows
    by_alignment: dict[int, list[Line]] = {}
    for row_alignment in ALIGNMENTS:
        stand_in = next(a for a in (row_alignment, *STAND_IN[row_alignment]) if grids[a])
        measured = grids[stand_in]
        columns: list[list[Line]] = []
        for w, widest in enumerate(widths):
            column = []
            for n, largest in enumerate(loads):
                at = (w, n) if (w, n) in measured else _nearest(measured, w, n)
                found = order(measured[at], default, FLOOR[device])
                own = at == (w, n) and stand_in == row_alignment
                evidence = list(measured[at].values()) if own else []
                assumed = "the nearest class" if stand_in == row_alignment else f"rows aligned to {stand_in} bytes"
                column.append(Line(source.of, mode, padding, row_alignment, widest, largest, found, evidence, assumed))
            columns.append(_merged(column, "largest"))
        lines: list[Line] = []
        for column in columns:
            last = lines[-len(column) :]
            same = [(a.largest, a.rows) for a in last] == [(b.largest, b.rows) for b in column]
            if same and len({line.widest for line in last}) == 1 and len(last) == len(column):
                for old, new in zip(last, column):
                    old.widest, old.evidence = new.widest, old.evidence + new.evidence
            else:
                lines += column
        by_alignment[row_alignment] = lines
    result: list[Line] = []
    for row_alignment in ALIGNMENTS:
        mine = by_alignment[row_alignment]
        twin = [r for r in result if r.alignments & sum(a for a in ALIGNMENTS if a > row_alignment)]
        groups: dict[int, list[Line]] = {}
        for line in twin:
            groups.setdefault(line.alignments, []).append(line)
        same_as = next((g for g in groups.values() if [x.bounds() for x in g] == [x.bounds() for x in mine]), None)
        if same_as is None:
            result += mine
        else:
            for old, new in zip(same_as, mine):
                old.alignments += row_alignment
                old.evidence = old.evidence + new.evidence
    return result


def lines_of(source: Source) -> list[Line]:
    """All lines of a class. Raises Unusable where a mode or padding has no figure at all."""
    for mode in MODES:
        for padding in PADDINGS:
            if not _problems(source, mode, padding):
                raise Unusable(f"{source.path} has no figure of a candidate for {mode}, padding {padding}")
    return [line for mode in MODES for padding in PADDINGS for line in _lines_of(source, mode, padding)]


HEAD = """// SPDX-License-Identifier: MIT
// Which row production prefers where several support a problem: the first line that matches decides, and of its rows
// the first that supports the problem runs (selection.hpp). Device classes without lines, compute capabilities that
// were not measured, take the nearest class, less its rows that are made for it.
//
// Written by `./suite tune` from the figures below (reports/selection.py has the rule); a test makes it anew and
// compares. Not to be edited.
#pragma once

#include "selection.hpp"

namespace ssim {

// clang-format off
"""


def table(sources: list[Source]) -> str:
    """The whole header. Classes in order: CUDA by capability, then the CPU."""
    sources = sorted(sources, key=lambda s: (s.of.device == "cpu", s.of.capability))
    text = HEAD + "".join(source.line() + "\n" for source in sources)
    text += "//\n// class, mode, padding, alignments, width and elements a multiprocessor at most, rows, figures\n"
    text += "inline constexpr SelectionLine kSelection[] = {\n"
    for source in sources:
        text += "\n".join(line.code() for line in lines_of(source)) + "\n"
    return text + "};\n// clang-format on\n\n}  // namespace ssim\n"


SOURCE = re.compile(r"^// source (cpu|cuda \d+\.\d): (\S+)(?: --rows (\S+))? \(", re.M)
LINE = re.compile(r"\{Device::(\w+), (\d+), Mode::(\w+), Padding::(\w+), ([\d |]+), (\w+), (\w+), \{([^}]*)\},")


def sources_of(text: str) -> list[tuple[str, Path, str]]:
    """Of a table's text: class, file, rows."""
    return [(of, ROOT / path, rows or "") for of, path, rows in SOURCE.findall(text)]


def lines_in(text: str) -> list[Line]:
    """The lines of a table's text, without their figures."""

    def bound(word: str) -> int | None:
        return None if word == NO_LIMIT else int(word)

    return [
        Line(Class(device, int(capability)), mode, padding, sum(map(int, alignments.split("|"))), bound(widest),
             bound(largest), tuple(re.findall(r'"(\w+)"', names)))
        for device, capability, mode, padding, alignments, widest, largest, names in LINE.findall(text)
    ]  # fmt: skip


def preferred(lines: list[Line], source: Source, rows: dict[str, dict]) -> str | None:
    """The row that these lines take for a problem, of those that have a figure for it."""
    one = next(iter(rows.values()))
    row_alignment, load_each = alignment(one["width"]), math.ceil(quote.elements(one) / source.multiprocessors)
    for line in lines:
        if line.matches(source.of, one["mode"], one["padding"], row_alignment, one["width"], load_each):
            return next((name for name in line.rows if name in rows), None)
    return None


class Change(NamedTuple):
    problem: dict  # a figure of it
    before: str | None
    after: str | None
    gain: float | None  # time before / time after

    def text(self) -> str:
        p = self.problem
        what = f"{p['device']} {p['mode']:5s} {p['padding']:5s} {quote.shape(p):18s} {p['clock']:5s}"
        gain = "" if self.gain is None else f"  {self.gain:.3f} times as fast"
        return f"{what}  {self.before or 'nothing'} -> {self.after or 'nothing'}{gain}"


def changes(before: str, after: str, sources: list[Source]) -> tuple[list[Change], int]:
    """What the two tables do differently on the measured problems, and how many problems there are."""
    found, count = [], 0
    old, new = lines_in(before), lines_in(after)
    for source in sources:
        for mode in MODES:
            for padding in PADDINGS:
                for rows in _problems(source, mode, padding).values():
                    count += 1
                    a, b = preferred(old, source, rows), preferred(new, source, rows)
                    if a != b:
                        gain = rows[a]["ps_per_element"] / rows[b]["ps_per_element"] if a and b else None
                        found.append(Change(next(iter(rows.values())), a, b, gain))
    return found, count
