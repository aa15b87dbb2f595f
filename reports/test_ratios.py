# SPDX-License-Identifier: MIT
"""Ratios and their intervals: against SciPy's bootstrap, by their coverage, and what counts as a shared round."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.ratios import between_clocks, bootstrap, round_ratios


def test_only_rounds_that_both_have_in_the_same_process_count():
    base = {(1, 0): [2.0], (1, 1): [4.0], (2, 0): [8.0]}
    subject = {(1, 0): [1.0], (2, 0): [2.0], (2, 1): [1.0], (3, 0): [1.0]}
    assert round_ratios(base, subject) == pytest.approx([math.log(2), math.log(4)])


def test_a_round_counts_by_its_median():
    assert round_ratios({(1, 0): [2.0, 2.0, 90.0]}, {(1, 0): [1.0, 1.0, 1.0]}) == pytest.approx([math.log(2)])


def test_no_shared_round():
    assert bootstrap(round_ratios({(1, 0): [1.0]}, {(1, 1): [1.0]}), "x") is None


def test_one_round_has_no_interval():
    ratio = bootstrap(np.array([math.log(3)]), "x")
    assert ratio.ratio == pytest.approx(3) and ratio.low is None and ratio.high is None and ratio.rounds == 1


def test_geometric_mean():
    ratio = bootstrap(np.log([2.0, 8.0]), "x")
    assert ratio.ratio == pytest.approx(4) and ratio.low < 4 < ratio.high


def test_same_names_same_interval():
    logs = np.random.default_rng(1).normal(1, 0.1, 40)
    assert bootstrap(logs, "a") == bootstrap(logs, "a")
    assert bootstrap(logs, "a") != bootstrap(logs, "b")


def test_identical_rounds_have_a_point_interval():
    ratio = bootstrap(np.full(5, math.log(5.0)), "x")
    assert ratio.low == pytest.approx(5) and ratio.high == pytest.approx(5)


def test_agrees_with_scipy_where_rounds_are_many():
    logs = np.random.default_rng(7).normal(math.log(6), 0.05, 200)
    ours = bootstrap(logs, "x")
    np.random.seed(3)  # the name of SciPy's own seed argument differs between its versions
    theirs = stats.bootstrap((logs,), np.mean, n_resamples=4000, method="percentile").confidence_interval
    assert math.log(ours.low) == pytest.approx(theirs.low, abs=6e-4)
    assert math.log(ours.high) == pytest.approx(theirs.high, abs=6e-4)


@pytest.mark.parametrize("rounds", [3, 5, 12])
def test_interval_covers_the_truth_as_often_as_it_says(rounds):
    """Normal rounds, 400 runs: 95 % nominal; without the widening, 3 rounds cover about 75 %."""
    generator = np.random.default_rng(rounds)
    covered = 0
    for n in range(400):
        ratio = bootstrap(generator.normal(0, 0.02, rounds), str(n))
        covered += ratio.low <= 1 <= ratio.high
    assert covered / 400 > 0.90


def rounds_of(generator, mean, spread, first=0, count=12):
    return {(1, first + n): [math.exp(x)] for n, x in enumerate(generator.normal(mean, spread, count))}


def test_two_clocks_are_compared_in_the_rounds_that_they_share():
    """Moods of the machine meet both and cancel."""
    generator = np.random.default_rng(2)
    mood = generator.normal(0, 0.2, 12)
    base = {(1, n): [6 * math.exp(m)] for n, m in enumerate(mood)}
    subject = {(1, n): [math.exp(m + generator.normal(0, 1e-3))] for n, m in enumerate(mood)}
    ratio = between_clocks(base, subject, "x")
    assert ratio == bootstrap(round_ratios(base, subject), "x") and ratio.high - ratio.low < 0.02
    assert between_clocks({}, subject, "x") is None and between_clocks(base, {}, "x") is None


def test_without_shared_rounds_each_side_brings_its_own_spread():
    base = rounds_of(np.random.default_rng(3), math.log(6), 0.05, first=1000, count=200)
    subject = rounds_of(np.random.default_rng(4), 0, 0.05, count=200)
    ours = between_clocks(base, subject, "x")
    logs = [np.log([s[0] for s in side.values()]) for side in (base, subject)]
    expected = stats.ttest_ind(*logs, equal_var=False).confidence_interval()
    assert math.log(ours.low) == pytest.approx(expected.low, abs=2e-3)
    assert math.log(ours.high) == pytest.approx(expected.high, abs=2e-3)
    one = between_clocks({(1, 1000): [6.0]}, subject, "x")
    assert one.low is None and one.ratio == pytest.approx(6, rel=0.02)


@pytest.mark.parametrize("rounds", [3, 5])
def test_that_interval_covers_the_truth_as_often_as_it_says(rounds):
    generator = np.random.default_rng(rounds)
    covered = 0
    for n in range(400):
        sides = [rounds_of(generator, 0, 0.02, first, rounds) for first in (0, 100)]
        ratio = between_clocks(*sides, str(n))
        covered += ratio.low <= 1 <= ratio.high
    assert covered / 400 > 0.90
