# SPDX-License-Identifier: MIT
"""Ratios and their intervals: against SciPy's bootstrap, by their coverage, and what counts as a shared round."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.ratios import bootstrap, round_ratios


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
