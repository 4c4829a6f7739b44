"""Means of a few repeats, against tables of Student's t and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replicore.bench.sweep.student import mean_rate, paired_ratio, t_cdf, t_quantile


@pytest.mark.parametrize(
    ("degrees", "expected"),
    # Abramowitz and Stegun, table 26.10: the 97.5 % quantile.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (30, 2.042)],
)
def test_quantile_is_that_of_the_tables(degrees: int, expected: float) -> None:
    assert t_quantile(0.975, degrees) == pytest.approx(expected, abs=0.0006)


@pytest.mark.parametrize("degrees", range(1, 12))
def test_cdf_and_quantile_undo_each_other(degrees: int) -> None:
    assert t_cdf(t_quantile(0.9, degrees), degrees) == pytest.approx(0.9)


@pytest.mark.parametrize("degrees", [1, 2, 3, 8])
def test_cdf_is_symmetric(degrees: int) -> None:
    assert t_cdf(-1.3, degrees) + t_cdf(1.3, degrees) == pytest.approx(1)
    assert t_cdf(0.0, degrees) == 0.5


def test_cdf_with_one_degree_is_that_of_cauchy() -> None:
    assert t_cdf(2.0, 1) == pytest.approx(0.5 + math.atan(2.0) / math.pi)


def test_mean_rate_has_the_interval_of_the_repeats() -> None:
    rate = mean_rate([90.0, 100.0, 110.0])

    # s = 10, s / sqrt(3) = 5.774, t = 4.303: half the interval is 24.84.
    assert rate is not None
    assert (rate.value, rate.low, rate.high) == pytest.approx((100, 75.16, 124.84), abs=0.01)


def test_mean_rate_of_one_run_has_no_interval() -> None:
    rate = mean_rate([90.0])

    assert rate is not None
    assert (rate.value, rate.low, rate.high) == (90.0, None, None)


def test_mean_rate_of_nothing_is_none() -> None:
    assert mean_rate([]) is None


def test_interval_of_a_rate_does_not_go_below_zero() -> None:
    rate = mean_rate([1.0, 100.0])

    assert rate is not None
    assert rate.low == 0.0


def test_ratio_is_that_of_the_repeats_whatever_they_have_in_common() -> None:
    theirs = [100.0, 50.0, 200.0]  # the machine was slow in the second repeat
    ratio = paired_ratio([2 * rate for rate in theirs], theirs)

    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))
    assert ratio.improvement > 0.999


def test_ratio_interval_is_students_on_the_logarithms() -> None:
    ratio = paired_ratio([110.0, 120.0, 130.0], [100.0, 100.0, 100.0])

    # d = .0953, .1823, .2624: mean .1800, s = .08357, half = 4.303 s / sqrt(3) = .2076.
    assert ratio is not None
    assert ratio.value == pytest.approx(math.exp(0.1800), rel=1e-3)
    assert ratio.low == pytest.approx(math.exp(0.1800 - 0.2076), rel=1e-3)
    assert ratio.high == pytest.approx(math.exp(0.1800 + 0.2076), rel=1e-3)


def test_p_value_is_below_five_percent_where_the_interval_leaves_one_out() -> None:
    near, far = (paired_ratio([100 * f, 110 * f, 90 * f], [100, 100, 100]) for f in (1.1, 1.5))

    assert near is not None
    assert far is not None
    assert near.low < 1 < near.high
    assert near.p_value > 0.05
    assert far.low > 1
    assert far.p_value < 0.05


def test_ratio_of_equal_rates_is_no_improvement() -> None:
    ratio = paired_ratio([100.0, 100.0], [100.0, 100.0])

    assert ratio is not None
    assert (ratio.value, ratio.improvement, ratio.p_value) == (1, 0.5, 1)


def test_ratio_of_one_repeat_is_none() -> None:
    assert paired_ratio([100.0], [50.0]) is None


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_interval_of_a_ratio_covers_the_truth_in_95_of_100_sweeps(repeats: int) -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        common = rng.lognormal(0, 0.3, repeats)  # what slows a whole repeat
        ours = 150 * common * rng.lognormal(0, 0.05, repeats)
        theirs = 100 * common * rng.lognormal(0, 0.05, repeats)
        ratio = paired_ratio(ours.tolist(), theirs.tolist())
        covered += ratio is not None and ratio.low <= 1.5 <= ratio.high

    assert 0.935 <= covered / 2000 <= 0.965
