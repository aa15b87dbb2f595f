# SPDX-License-Identifier: MIT
"""peers.json, which takes the place of the one before after each problem, and the raw samples in a file beside it.

An interruption loses the problem that was being measured and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

from frontdoor.place import write_whole

PACKAGES = ("fused_ssim (package)", "pytorch_msssim (package)", "pytorch_msssim with window (package)",
            "pytorch_msssim compiled (package)")  # fmt: skip
# Whose work our row pytorch_mssim repeats.
REPEATED = ("pytorch_msssim (package)", "pytorch_msssim with window (package)")
EQUIVALENT = 0.05  # our row takes the package's time if the interval of their ratio lies within


class Refused(Exception):
    """What is there cannot be gone on from, and why."""


def label(problem: dict) -> str:
    size = "x".join(str(problem[f]) for f in ("batch", "channels", "height", "width"))
    return f"{size} {problem['mode']} {problem['padding']}"


def ratios(figures: dict, about: dict) -> list[dict]:
    """Of every package to every other system that it is held against, baseline's time / subject's time, in the rounds
    that both have. figures: name -> bench.peer_timing.Figure."""
    from reports.ratios import bootstrap, round_ratios

    entries = []
    pairs = [(b, s) for s in figures for b in figures if b != s and (b in PACKAGES or s in PACKAGES)]
    for baseline, subject in pairs:
        two = figures[baseline], figures[subject]
        ratio = bootstrap(round_ratios(*(f.rounds for f in two)), f"{baseline} {subject} {sorted(about.items())}")
        if ratio is not None:
            entries.append({"baseline": baseline, "subject": subject, **about, "ratio": ratio.ratio, "low": ratio.low,
                            "high": ratio.high, "rounds": ratio.rounds,
                            "converged": not any(f.unmet for f in two)})  # fmt: skip
    return entries


def equivalence(entries: list[dict]) -> list[dict]:
    """Whether our row takes the time of the package whose work it repeats."""
    found = []
    for r in entries:
        if r["baseline"] in REPEATED and r["subject"] == "pytorch_mssim":
            within = r["low"] is not None and 1 - EQUIVALENT <= r["low"] and r["high"] <= 1 + EQUIVALENT
            found.append({**r, "within": within})
    return found


class Record:
    """about: schema, commit, dirty, environment. systems: name -> bench.packages.System."""

    def __init__(self, path: Path, about: dict, systems: dict):
        self.path, self.about, self.systems = path, about, systems
        self.samples = path.with_name(f"{path.stem}_samples.jsonl")
        self.problems: list[dict] = []  # that are done, whether or not there was something to time
        self.failures: list[dict] = []
        self.rows: list[dict] = []
        self.ratios: list[dict] = []
        self.complete = False

    def begin(self) -> None:
        self.path.unlink(missing_ok=True)
        write_whole(self.samples, "")

    def resume(self) -> None:
        """Takes up what the files hold. Raises Refused where they are of another build, machine or package."""
        if not self.path.exists():
            return self.begin()
        try:
            held = json.loads(self.path.read_text())
            there = {name: s["what"] for name, s in held["systems"].items()}
            for name in ("problems", "failures", "rows", "ratios"):
                setattr(self, name, list(held[name]))
            kept = []
            for line in self.samples.read_text().splitlines(keepends=True):
                # Of a problem that was not done, and half a line of a kill: both are measured anew.
                if line.endswith("\n") and self.done(json.loads(line)):
                    kept.append(line)
        except FileNotFoundError as error:
            raise Refused(f"{error.filename} is missing beside {self.path}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"{self.path} is damaged: {type(error).__name__}: {error}") from None
        wanted = {**self.about, "systems": {name: s.what for name, s in self.systems.items()}}
        for what, mine in wanted.items():
            other = there if what == "systems" else held.get(what)
            if mine != other:
                raise Refused(f"{self.path} was measured with {what} {other}, here it is {mine}")
        write_whole(self.samples, "".join(kept))

    def done(self, problem: dict) -> bool:
        """problem: at least mode, padding, batch, channels, height, width."""
        return any(all(problem[f] == v for f, v in known.items()) for known in self.problems)

    def sample(self, about: dict, name: str, number: int, seconds: list[float]) -> None:
        """The samples (seconds) of a turn, at once."""
        with self.samples.open("a") as out:
            out.write(json.dumps({"name": name, **about, "round": number, "seconds": seconds}) + "\n")

    def row(self, name: str, about: dict, figure, host_bound: bool) -> None:
        """What a bench.peer_timing.Figure comes to; one without samples is no row."""
        from bench.peer_timing import summary

        if not figure.rounds:
            return
        self.rows.append({"name": name, **about, **summary(figure.seconds), "rounds": len(figure.rounds),
                          "converged": not figure.unmet, "unmet": figure.unmet or None,
                          "spent_s": round(figure.spent, 3), "host_bound": host_bound})  # fmt: skip

    def fail(self, problem: dict, name: str, reason: str, wrong: bool = False) -> None:
        """`wrong`: it gave a wrong result, it did not merely fail."""
        self.failures.append({"name": name, **problem, "reason": reason, "wrong": wrong})

    def finish(self, problem: dict) -> None:
        self.problems.append(problem)
        self.save()

    def save(self) -> None:
        write_whole(self.path, json.dumps(self.data(), indent=1) + "\n")

    @property
    def wrong(self) -> int:
        return sum(f["wrong"] for f in self.failures)

    def _reason(self, name: str) -> str:
        """Why a system has no time, or lacks some: the first problem that it failed on, and on how many more."""
        of_name = [f for f in self.failures if f["name"] == name]
        if not of_name:
            return self.systems[name].reason
        first = of_name[0]
        more = f" (and {len(of_name) - 1} more, see failures)" if len(of_name) > 1 else ""
        return f"{label(first)}: {first['reason']}{more}"

    def data(self) -> dict:
        systems = {name: {"what": s.what, "reason": self._reason(name)} for name, s in self.systems.items()}
        return {**self.about, "complete": self.complete, "systems": systems, "rows": self.rows, "ratios": self.ratios,
                "equivalence": equivalence(self.ratios), "problems": self.problems,
                "failures": self.failures}  # fmt: skip
