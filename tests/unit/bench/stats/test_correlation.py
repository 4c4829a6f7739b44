"""Effective sizes of series whose correlation is known."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.correlation import Series, long_run


def autoregressive(rho: float, count: int, seed: int = 11) -> Floats:
    noise = np.random.default_rng(seed).standard_normal(count)
    values = np.empty(count)
    values[0] = noise[0]
    for step in range(1, count):
        values[step] = rho * values[step - 1] + noise[step] * np.sqrt(1 - rho**2)
    return values


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_long_run_variance_is_that_of_the_process(rho: float) -> None:
    # g_k = rho^k, so V = 1 + 2 rho / (1 - rho) = (1 + rho) / (1 - rho)
    found = long_run(autoregressive(rho, 100_000))

    assert found.variance == pytest.approx((1 + rho) / (1 - rho), rel=0.1)
    assert found.plain == pytest.approx(1.0, rel=0.05)


def test_effective_size_of_a_correlated_series_is_smaller() -> None:
    values = autoregressive(0.5, 30_000)

    # n (1 - rho) / (1 + rho) = n / 3
    assert Series(values).mean_of(values).effective == pytest.approx(10_000, rel=0.1)


def test_alternating_series_is_not_worth_more_than_its_length() -> None:
    values = np.tile([1.0, 2.0], 500)

    assert Series(values).mean_of(values).effective == pytest.approx(1000)


def test_constant_series_is_worth_its_length() -> None:
    values = np.full(100, 3.0)
    known = Series(values).mean_of(values)

    assert (known.variance, known.effective) == (0.0, 100)


def test_single_value_says_nothing_of_its_variance() -> None:
    assert long_run(np.array([4.0])).variance == 0.0


def test_values_of_one_request_that_are_all_alike_count_once() -> None:
    # 2,000 requests of 5 equal values each: worth 2,000, not 10,000.
    each = np.random.default_rng(3).standard_normal(2000)
    values = np.repeat(each, 5)
    known = Series(values, np.full(2000, 5)).mean_of(values)

    assert known.effective == pytest.approx(2000, rel=0.1)


def test_requests_without_values_change_nothing() -> None:
    values = np.array([1.0, 4.0, 2.0, 7.0])
    plain = Series(values, np.array([2, 2])).mean_of(values)

    assert Series(values, np.array([0, 2, 0, 2, 0])).mean_of(values) == plain


def test_places_of_a_loop_are_seen_through_their_neighbours() -> None:
    # Eight places, each with values like those before: rho 0.8 is eight requests away.
    places = np.array([autoregressive(0.8, 2000, seed) for seed in range(8)])
    values = places.T.ravel()

    # (1 + rho) / (1 - rho) = 9 times the variance of independent ones
    alone = Series(values).mean_of(values).effective
    assert Series(values, depth=8).mean_of(values).effective == pytest.approx(16_000 / 9, rel=0.2)
    assert alone > 4 * 16_000 / 9


def test_depth_leaves_forty_sums() -> None:
    # Of 80 values two make a sum, whatever the depth is.
    values = autoregressive(0.0, 80)

    assert Series(values, depth=64).mean_of(values) == Series(values, depth=2).mean_of(values)


def test_skewness_of_a_mean_falls_with_the_root_of_its_values() -> None:
    # Of one exponential value it is 2, of the mean of 10,000 it is 2 / 100.
    values = np.random.default_rng(2).exponential(size=10_000)

    assert Series(values).skewness_of(values, 10_000) == pytest.approx(0.02, rel=0.15)


def test_skewness_of_constant_values_is_none() -> None:
    values = np.full(100, 3.0)

    assert Series(values).skewness_of(values, 100) == 0.0
