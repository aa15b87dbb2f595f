# SPDX-License-Identifier: MIT
"""Clocks, turns and the stopping rule for calls through Python, as scheduler.cpp and gpu_timer.cpp have them.

A figure is the median of samples taken in rounds of random order, until its 95 % order-statistic interval is narrow
enough or its own time is up.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import Callable

from scipy import stats

LEAST_DELAY, MOST_DELAY = 30e-6, 20e-3  # seconds
RETRIES = 4  # of a sample whose launches were not hidden
LEAST, MOST, TURN = 4, 16, 0.02  # samples of a turn: LEAST unless they take over TURN seconds, then until TURN or MOST


class WallSampler:
    """Host seconds of one call and its synchronisation."""

    host_bound = False

    def __init__(self, synchronize: Callable[[], None], call: Callable):
        self.synchronize, self.call = synchronize, call

    def sample(self) -> float:
        self.synchronize()
        begin = time.perf_counter()
        self.call()
        self.synchronize()
        return time.perf_counter() - begin


class ColdSampler:
    """Seconds between two events around one call, L2 flushed before, its launches hidden behind a delay.

    Where the device came to the call before the host had enqueued all of it, the sample holds launch latency: it is
    taken again behind a longer delay. host_bound: more than one sample in ten could not be hidden at all.
    """

    def __init__(self, torch, flush: Callable[[], None], call: Callable):
        self.torch, self.flush, self.call = torch, flush, call
        self.samples = self.exposed = 0
        self.host_bound = False
        fastest = math.inf
        for _ in range(5):
            begin = time.perf_counter()
            call()
            fastest = min(fastest, time.perf_counter() - begin)
            torch.cuda.synchronize()
        self.delay = min(MOST_DELAY, max(LEAST_DELAY, 2 * fastest))

    def _once(self) -> tuple[float, bool]:
        """Seconds, and whether the device had passed the first event when all was enqueued."""
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.flush()
        self.torch.cuda._sleep(int(2e9 * self.delay))  # cycles; no SM clock is above 2 GHz
        begin.record()
        self.call()
        end.record()
        exposed = begin.query()
        self.torch.cuda.synchronize()
        return 1e-3 * begin.elapsed_time(end), exposed

    def sample(self) -> float:
        for attempt in range(RETRIES + 1):
            seconds, exposed = self._once()
            if not exposed or self.host_bound or self.delay >= MOST_DELAY or attempt == RETRIES:
                break
            self.delay = min(2 * self.delay, MOST_DELAY)
        self.samples += 1
        self.exposed += exposed
        # One sample in ten may be the operating system's doing.
        self.host_bound = self.exposed > 3 and 10 * self.exposed > self.samples
        if self.host_bound:
            self.delay = LEAST_DELAY  # waiting longer would not help
        return seconds


def clocks(torch, device: str) -> dict[str, Callable]:
    """Clock -> function that makes the sampler of a call."""
    if device != "cuda":
        return {"wall": lambda call: WallSampler(lambda: None, call)}
    bytes_ = max(5 * torch.cuda.get_device_properties(0).L2_cache_size // 2, 32 << 20)
    written, read = (torch.ones(bytes_ // 4, device="cuda") for _ in range(2))

    def flush() -> None:
        written.fill_(1.0)
        read.sum()  # or the write-back of dirty lines would fall into the sample

    return {"cold": lambda call: ColdSampler(torch, flush, call),
            "wall": lambda call: WallSampler(torch.cuda.synchronize, call)}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    half_width: float  # of the interval, part of the median
    cap: float  # seconds of one figure, warm-ups included
    samples: int = 32
    long_samples: int = 5  # where a call takes over long_call seconds
    long_call: float = 1.0
    rounds: int = 12  # ratios have their intervals over these


RULES = {"cuda": Rule(0.005, 3.0), "cpu": Rule(0.01, 10.0)}


@dataclass
class Figure:
    """Samples of one call by one clock: (1, round) -> seconds, as reports.ratios wants them."""

    rounds: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    spent: float = 0.0
    unmet: str = "no samples"  # "": converged
    error: str = ""

    @property
    def seconds(self) -> list[float]:
        return [s for turn in self.rounds.values() for s in turn]


def median_interval(ordered: list[float], coverage: float = 0.95) -> tuple[float, float, float]:
    """The narrowest symmetric order-statistic interval of the median, and its coverage: under 0.95 for n < 6."""
    n, tail = len(ordered), (1 - coverage) / 2
    k = int(stats.binom.ppf(tail, n, 0.5))  # the least with P(<= k) >= tail
    if k > 0 and stats.binom.cdf(k, n, 0.5) > tail:
        k -= 1
    return ordered[k], ordered[n - 1 - k], 1 - 2 * float(stats.binom.cdf(k, n, 0.5))


def summary(seconds: list[float]) -> dict:
    """Median, its interval (seconds), the larger distance between them over the median."""
    ordered = sorted(seconds)
    median = statistics.median(ordered)
    low, high, coverage = median_interval(ordered)
    return {"seconds": median, "samples": len(ordered), "ci_low": low, "ci_high": high, "ci_coverage": coverage,
            "rel_half_width": max(median - low, high - median) / median}  # fmt: skip


def unmet(rule: Rule, seconds: list[float], rounds: int) -> str:
    """What a figure lacks, or ""."""
    if not seconds:
        return "no samples"
    found, lacking = summary(seconds), []
    wanted = rule.long_samples if found["seconds"] > rule.long_call else rule.samples
    if len(seconds) < wanted:
        lacking.append(f"{len(seconds)} of {wanted} samples")
    if rounds < rule.rounds:
        lacking.append(f"{rounds} of {rule.rounds} rounds")
    if found["ci_coverage"] < 0.95:
        lacking.append(f"{len(seconds)} samples give no 95 % interval")
    elif not found["rel_half_width"] <= rule.half_width:
        width = f"interval +-{100 * found['rel_half_width']:.2g} %"
        lacking.append(f"{width}, wanted +-{100 * rule.half_width:.2g} %")
    return "; ".join(lacking)


def _turn(sampler, left: float, now: Callable[[], float]) -> list[float]:
    sampler.sample()  # what another system left in allocator and caches
    found: list[float] = []
    begin = now()
    while True:
        found.append(sampler.sample())
        passed = now() - begin
        if passed >= left or len(found) >= MOST or (passed >= TURN and (len(found) >= LEAST or passed >= 2.5 * TURN)):
            return found


def measure(samplers: dict, rule: Rule, keep: Callable[[str, int, list[float]], None],
            now: Callable[[], float] = time.monotonic) -> dict[str, Figure]:  # fmt: skip
    """Rounds of random order until each figure has converged, failed, or spent its time. Every turn goes to `keep`:
    name, round, seconds of its samples. An exception of a call ends that figure alone: Figure.error."""
    found = {name: Figure() for name in samplers}
    active, number = list(samplers), 0
    while active:
        for name in random.sample(active, len(active)):
            figure, begin = found[name], now()
            try:
                turn = _turn(samplers[name], rule.cap - figure.spent, now)
            except Exception as error:
                figure.error = first_line(error)
                continue
            figure.rounds[1, number] = turn
            keep(name, number, turn)
            figure.unmet = unmet(rule, figure.seconds, len(figure.rounds))
            figure.spent += now() - begin
        active = [n for n in active if found[n].unmet and not found[n].error and found[n].spent < rule.cap]
        number += 1
    return found


def first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}".splitlines()[0].removesuffix(": ")
