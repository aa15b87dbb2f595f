# SPDX-License-Identifier: MIT
"""How old are committed figures: each file's commit, and what has changed in kernels/ and bench/ since (accuracy.*:
in what errors depend on).

A file without a commit, of a commit with uncommitted edits, or of one that the history does not have, counts as stale.
Pictures are made from report.json and are as old as it is; a recording of Nsight Systems is as old as profiles.md,
which names it.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from frontdoor.commit import label

WATCHED = ("kernels", "bench")
OF_OTHERS = (".png", ".svg", ".nsys-rep")
# Errors do not depend on bench/, but on what they are measured with.
ACCURACY_WATCHED = (
    "kernels",
    "baselines",
    *(f"verify/{name}" for name in ("accuracy.cpp", "check.cpp", "compare.cpp", "inputs.cpp", "oracle.cpp")),
    *(f"verify/{name}" for name in ("oracle_cuda.cu", "random_case.cpp")),
)


def watched(name: str) -> tuple[str, ...]:
    """What the figures in a file of this name depend on."""
    return ACCURACY_WATCHED if name.startswith("accuracy.") else WATCHED


class NoHistory(Exception):
    """git is not here, or this folder is not its checkout."""


@dataclass
class File:
    name: str
    commits: list[str]
    problems: list[str] = field(default_factory=list)
    since: list[str] = field(default_factory=list)  # "hash subject" of commits that changed what is watched

    @property
    def stale(self) -> bool:
        return bool(self.problems or self.since)


def _of_environment(environment: dict) -> str | None:
    known = environment.get("commit")
    return known and label(known, environment.get("dirty"))


def commits_of(path: Path) -> list[str]:
    """The commits that a file names, "-dirty" at the end of one that had edits."""
    found: list[str | None] = []
    if path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record.get("type") == "run":
                found.append(_of_environment(record["environment"]))
            elif "type" not in record:
                found.append(_of_environment(record))
    elif path.name.endswith((".json", ".json.gz")):
        data = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_text())
        if isinstance(data, dict):
            found.append(_of_environment(data if data.get("commit") else data.get("environment") or {}))
            found += [profile.get("commit") for profile in data.get("profiles") or []]
    elif path.suffix == ".csv":
        found += [line.get("commit") for line in csv.DictReader(path.read_text().splitlines())]
    elif path.suffix == ".md":
        page, name = path.read_text(), r"([0-9a-f]{7,40}(?:-dirty)?)"
        # What a page says of its own figures begins a line; else what it names first.
        found += re.findall(rf"^Commit {name}", page, re.M) or re.findall(rf"\b[Cc]ommits? {name}", page)[:1]
    return sorted({c for c in found if c and c != "unknown"})


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    try:
        return subprocess.run(
            ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments], capture_output=True, text=True
        )
    except OSError as error:
        raise NoHistory(f"git does not run: {error}") from None


def check(folder: Path, root: Path) -> list[File]:
    """Raises NoHistory, OSError, and ValueError for a file that cannot be read as what its name says."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if top.returncode or Path(top.stdout.strip()).resolve() != root.resolve():
        raise NoHistory(f"{root} is no checkout with a history")
    files = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in OF_OTHERS):
        try:
            file = File(str(path.relative_to(folder)), commits_of(path))
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}") from None
        if not file.commits:
            file.problems.append("names no commit")
        for known in file.commits:
            commit = known.removesuffix("-dirty")
            if known != commit:
                file.problems.append(f"{commit[:12]} had edits that are in no commit")
            log = _git(root, "log", "--format=%h %s", f"{commit}..HEAD", "--", *watched(path.name))
            if log.returncode:
                file.problems.append(f"commit {commit[:12]} is not in this history")
            file.since += [line for line in log.stdout.splitlines() if line not in file.since]
        files.append(file)
    return files


def text(files: list[File]) -> str:
    """One line a file; what changed is told once for all files that it makes old."""
    lines, told = [], {}
    for file in files:
        names = ", ".join(c[:12] for c in file.commits) or "–"
        where = "that errors depend on" if watched(file.name) is ACCURACY_WATCHED else "in kernels/ or bench/"
        state = "; ".join(file.problems) or f"nothing {where} has changed since"
        if file.since:
            number = told.setdefault((where, *file.since), len(told) + 1)
            state = "; ".join([*file.problems, f"{len(file.since)} commits since, list {number}"])
        lines.append(f"{file.name}: {names}: {state}")
    for (where, *since), number in told.items():
        lines += ["", f"list {number}, what changed {where}:"]
        lines += [f"  {line}" for line in since]
    return "\n".join(lines)
