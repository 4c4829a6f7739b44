"""Quantiles of t and ranks of order statistics, against printed tables and exact sums."""

from __future__ import annotations

import math

import pytest

from replicore.bench.stats.tails import quantile_ranks, skewed_ends, student_t


@pytest.mark.parametrize(
    ("freedom", "table"),
    # 97.5 % points of Student's t as printed in any table
    [(4, 2.776), (5, 2.571), (10, 2.228), (20, 2.086), (30, 2.042), (120, 1.980)],
)
def test_student_t_is_that_of_the_tables(freedom: int, table: float) -> None:
    assert student_t(freedom) == pytest.approx(table, rel=0.005)


def test_interval_of_a_mean_without_skewness_is_that_of_t() -> None:
    down, up = skewed_ends(20, 0.0)

    assert down == up == student_t(20)


def test_interval_of_a_skewed_mean_reaches_further_to_its_long_side() -> None:
    # b = 0.05, t = 2.086: G(t) = ((1 + 0.3 x 2.036)^(1/3) - 1) / 0.1 = 1.722,
    # G(-t) = ((1 - 0.3 x 2.136)^(1/3) - 1) / 0.1 = -2.891
    down, up = skewed_ends(20, 0.3)

    assert (down, up) == pytest.approx((1.722, 2.891), abs=2e-3)
    assert skewed_ends(20, -0.3) == pytest.approx((up, down))


def test_skewness_that_is_mostly_chance_is_limited() -> None:
    assert skewed_ends(20, 3.0) == skewed_ends(20, 0.36)


def at_most(count: int, size: int, p: float) -> float:
    """P(B <= count) of a binomial B, term by term."""
    return sum(math.comb(size, k) * p**k * (1 - p) ** (size - k) for k in range(count + 1))


@pytest.mark.parametrize(("size", "p"), [(20, 0.5), (100, 0.9), (400, 0.95), (1000, 0.99)])
def test_ranks_hold_the_quantile_in_95_of_100_samples(size: int, p: float) -> None:
    low, high = quantile_ranks(size, p)
    assert low is not None
    assert high is not None

    # P(x_r > q) = P(B <= r - 1): the whole ranks around each end straddle its tail.
    assert at_most(math.floor(low) - 1, size, p) <= 0.025 <= at_most(math.floor(low), size, p)
    assert at_most(math.floor(high) - 1, size, p) <= 0.975 <= at_most(math.floor(high), size, p)


def test_ranks_of_the_median_of_ten_lie_between_the_second_and_the_ninth() -> None:
    # P(B <= 1) = 11/1024 = 0.0107 and P(B <= 2) = 56/1024 = 0.0547, so 0.025 is between the ranks
    # 2 and 3: 2 + (0.025 - 0.0107) / (0.0547 - 0.0107) = 2.324; the other end is its mirror image.
    low, high = quantile_ranks(10, 0.5)

    assert low == pytest.approx(2.3245, abs=1e-3)
    assert high == pytest.approx(11 - 2.3245, abs=1e-3)


@pytest.mark.parametrize(
    ("p", "least"),
    # p^n <= 2.5 %: log 0.025 / log p = 5.3, 35.01, 71.9, 367.04
    [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)],
)
def test_quantile_has_an_upper_end_from_a_least_number_on(p: float, least: int) -> None:
    assert quantile_ranks(least - 1, p)[1] is None
    assert quantile_ranks(least, p)[1] is not None


def test_one_value_bounds_no_quantile_from_below() -> None:
    assert quantile_ranks(1, 0.5) == (None, None)


def test_ranks_of_ten_million_values_are_found() -> None:
    # Normal: n p -+ 1.96 sqrt(n p (1 - p)) = 9.9e6 -+ 1.96 x 314.6
    low, high = quantile_ranks(10_000_000, 0.99)

    assert low == pytest.approx(9_900_000 - 617, abs=5)
    assert high == pytest.approx(9_900_000 + 617, abs=5)
