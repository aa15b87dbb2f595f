# SPDX-License-Identifier: MIT
"""Speed-ups with intervals: what two rows took in the rounds that both have, in the same process.

Rows of a problem are measured in rounds of random order, so that whatever the machine does in a second meets all of
them. The unit is therefore the round: log(median of the baseline's samples / median of the subject's). The ratio is the
geometric mean over rounds, its interval a bootstrap over rounds (Efron 1979, percentile), widened for few rounds by
sqrt(n / (n - 1)) and Student's t, without which percentile intervals of a handful of rounds are too narrow
(Hesterberg 2015, "What teachers should know about the bootstrap", section 4).

Clocks of a problem take their turns in the same rounds, so a ratio between two clocks (a baseline captured in a graph
against a subject by another clock) has the same unit. Where fewer than two rounds are shared, as after a resumed run,
each side's rounds are drawn by themselves instead, which keeps what the machine did to one side alone in the interval.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 4000
COVERAGE = 0.95


@dataclass(frozen=True)
class Ratio:
    """ratio = baseline's time / subject's: above 1 the subject is faster. low and high are None with a single round."""

    ratio: float
    low: float | None
    high: float | None
    rounds: int


def round_ratios(
    baseline: dict[tuple[int, int], list[float]], subject: dict[tuple[int, int], list[float]]
) -> np.ndarray:
    """Log ratio of each (process, round) in which both have samples."""
    shared = sorted(set(baseline) & set(subject))
    return np.array(
        [math.log(np.median(baseline[r]) / np.median(subject[r])) for r in shared if baseline[r] and subject[r]]
    )


def _resampled_means(logs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    n = len(logs)
    means = np.empty(RESAMPLES)
    step = max(1, 2_000_000 // n)
    for begin in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - begin)
        means[begin : begin + count] = logs[generator.integers(0, n, (count, n))].mean(axis=1)
    return means


def bootstrap(logs: np.ndarray, seed: str) -> Ratio | None:
    """None without a shared round. `seed` is a text, the names of what is compared: same file, same interval."""
    if len(logs) == 0:
        return None
    centre = float(np.mean(logs))
    if len(logs) == 1:
        return Ratio(math.exp(centre), None, None, 1)
    generator = np.random.default_rng(zlib.crc32(seed.encode()))
    return _ratio(centre, _resampled_means(logs, generator), len(logs))


def between_clocks(
    baseline: dict[tuple[int, int], list[float]], subject: dict[tuple[int, int], list[float]], seed: str
) -> Ratio | None:
    """Of two rows by two clocks: over the rounds that both have, or without two of them over each side's own."""
    shared = round_ratios(baseline, subject)
    sides = [np.array([math.log(np.median(s)) for s in side.values() if s]) for side in (baseline, subject)]
    n = min(map(len, sides))
    if len(shared) > 1 or n == 0:
        return bootstrap(shared, seed)
    centre = float(np.mean(sides[0]) - np.mean(sides[1]))
    if n == 1:
        return Ratio(math.exp(centre), None, None, 1)
    generator = np.random.default_rng(zlib.crc32(seed.encode()))
    means = _resampled_means(sides[0], generator) - _resampled_means(sides[1], generator)
    return _ratio(centre, means, n)


def _ratio(centre: float, means: np.ndarray, n: int) -> Ratio:
    """From means over resampled rounds, n of the side with fewer."""
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    widen = math.sqrt(n / (n - 1)) * stats.t.ppf(1 - tail, n - 1) / stats.norm.ppf(1 - tail)
    return Ratio(
        math.exp(centre),
        math.exp(centre - widen * max(0.0, centre - float(low))),
        math.exp(centre + widen * max(0.0, float(high) - centre)),
        n,
    )
