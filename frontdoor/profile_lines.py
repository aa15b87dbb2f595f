# SPDX-License-Identifier: MIT
"""Nsight Compute's page source as the source lines with most stall samples, or why there are none.

The page is a table per file and function, or per kernel, each with its own header; its columns depend on the view:

    cuda,sass   "File Path", "Function Name"; Line No, Source, Address, Source, metrics: a line, then its instructions
    cuda        the same without instructions
    sass        "Kernel Name"; Address, Source, metrics: instructions alone, which say no line

A line's metrics are the sums over its instructions. Where the sources cannot be found the text of a line is missing.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Callable

from frontdoor.ncu import number, short
from frontdoor.place import ROOT

VIEWS = ("cuda,sass", "cuda", "sass")  # in the order in which they say most
# The column of stall samples, by the names that versions have given it, the preferred one first.
SAMPLES = [r"Warp Stall Sampling \(All", r"# Samples$", r"Sampling Data \(All\)", r"smsp__pcsamp_sample"]
TOP = 3


class _Header:
    """Where a table has what. Source is there twice where lines and instructions stand side by side."""

    def __init__(self, names: list[str]):
        self.samples = next((n for s in SAMPLES for n, name in enumerate(names) if re.match(s, name)), None)
        self.address = names.index("Address") if "Address" in names else None
        sources = [n for n, name in enumerate(names) if name == "Source"]
        # In a table of instructions "#" numbers these.
        line = next((name for name in ("Line No", "#") if name in names), None)
        self.line = names.index(line) if line and (line != "#" or self.address is None) else None
        self.text = sources[0] if self.line is not None else None
        self.instruction = sources[-1] if self.address is not None else None


def _tables(text: str):
    """Each record below a header: (header, file or "", kernel or "" where a file is named, record)."""
    header, path, kernel = None, "", ""
    for line in text.splitlines():  # not one reader for all: a line of C++ may hold a lone quotation mark
        record = next(csv.reader([line]), [])
        if record[:1] in (["File Path"], ["Kernel Name"]) and len(record) > 1:
            header, path = None, record[1] if record[0] == "File Path" else ""
            kernel = short(record[1]) if record[0] == "Kernel Name" else ""
        elif "Source" in record:
            header = _Header([name.strip() for name in record])
        elif header and len(record) > 1:
            yield header, path, kernel, record


def _place(path: str, line: str) -> str:
    """file:line, the file as seen from the top of this checkout where it lies in it."""
    file = Path(path)
    shown = str(file.relative_to(ROOT)) if path and file.is_relative_to(ROOT) else file.name
    return f"{shown}:{line}" if shown else f"line {line}"


def read(text: str) -> list[tuple[str, float]]:
    """Lines, or where the page has none instructions, with most stall samples of all kernels: (what, its part of all
    samples). [] where the page has no samples."""
    own: dict[str, float] = {}  # samples of a line, as its own record has them
    below: dict[str, float] = {}  # of its instructions
    hottest: dict[str, tuple[float, str]] = {}  # of these the one with most, for a line without its text
    texts: dict[str, str] = {}
    place, table = "", None
    for header, path, kernel, record in _tables(text):
        if header is not table:
            place, table = "", header

        def cell(column: int | None) -> str:
            return " ".join(record[column].split()) if column is not None and column < len(record) else ""

        samples, instruction = number(cell(header.samples)) or 0.0, cell(header.instruction)
        if header.line is None:
            place = f"{kernel}: {instruction}" if kernel else instruction
        elif (line := cell(header.line)).isdigit():
            place = _place(path, line)
            texts.setdefault(place, cell(header.text))
        if place and cell(header.address).startswith("0x"):
            below[place] = below.get(place, 0.0) + samples
            hottest[place] = max(hottest.get(place, (0.0, "")), (samples, instruction))
        elif place:
            own[place] = own.get(place, 0.0) + samples
    found = {place: below.get(place) or own.get(place, 0.0) for place in {**own, **below}}
    total = sum(found.values())
    ordered = sorted(found.items(), key=lambda item: -item[1])[:TOP]
    said = {p: texts[p] or hottest.get(p, (0.0, ""))[1] for p in texts}
    return [(f"{p}: {said[p]}" if said.get(p) else p, n / total) for p, n in ordered if n]


def _lacks(text: str) -> str:
    """Why a page gave nothing, in the fewest words."""
    tables = [header for header, *_ in _tables(text)]
    if any(header.samples is not None for header in tables):
        return "no samples in it"
    if tables:
        return "no column of stall samples"
    last = text.strip().splitlines()[-1:]
    return f"it says: {last[0].strip()[:160]}" if last else "it is empty"


def best(page: Callable[[str], str]) -> tuple[list[tuple[str, float]], str]:
    """Of the first view that has samples; else [] and what each view lacks. page(view): its text, messages included."""
    lacking = []
    for view in VIEWS:
        text = page(view)
        if lines := read(text):
            return lines, ""
        lacking.append(f"view {view}: {_lacks(text)}")
    return [], "; ".join(lacking)
