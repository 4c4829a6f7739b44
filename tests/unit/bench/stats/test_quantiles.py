"""Distributions: what is reported, what is refused, and that intervals widen when they must."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.quantiles import Distribution, Quantile, distribution


def normal(count: int, seed: int = 5) -> np.ndarray:
    return 10 + np.random.default_rng(seed).standard_normal(count)


def test_distribution_has_mean_spread_and_extremes() -> None:
    # Deviations -2, -1, 3: 14 / (3 - 1) = 7
    found = distribution([1.0, 2.0, 6.0])

    assert (found.n, found.mean, found.min, found.max) == (3, 3.0, 1.0, 6.0)
    assert found.stddev == pytest.approx(7**0.5)


def test_quantile_is_reported_with_an_interval_around_it() -> None:
    found = distribution(normal(1000)).at(0.95)

    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("count", "carried"), [(300, False), (1000, True)])
def test_p99_is_refused_where_the_sample_cannot_bound_it(count: int, carried: bool) -> None:
    found = distribution(normal(count))

    assert (found.p99 is not None) is carried
    assert found.p50 is not None


def test_refused_quantile_still_says_what_it_is_at_least() -> None:
    values = normal(300)
    refused = distribution(values).at(0.99)

    assert (refused.value, refused.high) == (None, None)
    assert refused.low is not None
    assert values.min() < refused.low < values.max()


def test_independent_values_are_worth_about_their_number() -> None:
    assert distribution(normal(2000)).effective_n == pytest.approx(2000, rel=0.15)


def test_correlated_values_have_wider_intervals() -> None:
    # Each value five times in a row: as many numbers, a fifth of the knowledge.
    loose = distribution(normal(2000))
    tight = distribution(np.repeat(normal(400), 5))

    assert tight.effective_n < loose.effective_n / 4
    assert width(tight.at(0.5)) > 1.5 * width(loose.at(0.5))


def width(quantile: Quantile) -> float:
    assert quantile.low is not None
    assert quantile.high is not None
    return quantile.high - quantile.low


def test_gaps_of_one_request_do_not_count_as_independent() -> None:
    values, sizes = np.repeat(normal(2000), 5), np.full(2000, 5)

    assert distribution(values, sizes=sizes).effective_n == pytest.approx(2000, rel=0.15)


def test_unfinished_requests_raise_the_tail_and_are_counted() -> None:
    values = np.append(normal(1000), np.full(20, 30.0))
    hidden = np.append(np.zeros(1000, dtype=np.bool_), np.ones(20, dtype=np.bool_))
    found = distribution(values, censored=hidden)

    assert (found.n, found.censored) == (1020, 20)
    # 2 % of all took longer than anything seen: p95 is there, p99 is not.
    assert found.p95 is not None
    assert found.p95 > (distribution(normal(1000)).p95 or 0.0)
    assert found.p99 is None
    assert found.max is not None
    assert found.max < 30.0


def test_mean_is_refused_where_the_largest_value_is_unknown() -> None:
    found = distribution([1.0, 2.0, 9.0], censored=np.array([False, False, True]))

    assert (found.mean, found.mean_low, found.mean_high) == (None, None, None)


def test_values_beyond_a_quantile_that_come_in_one_cluster_are_not_taken_for_many() -> None:
    # 1,000 values of which 30 are large: scattered, or one after the other.
    scattered = normal(1000)
    scattered[::34] += 10
    clustered = normal(1000)
    clustered[500:530] += 10

    assert distribution(scattered).p99 is not None
    assert distribution(clustered).p99 is None


def test_interval_of_a_mean_with_a_long_tail_reaches_further_up() -> None:
    found = distribution(np.exp(normal(500)))
    assert found.mean is not None
    assert found.mean_low is not None
    assert found.mean_high is not None

    assert found.mean_high - found.mean > 1.1 * (found.mean - found.mean_low)


def test_constant_values_have_an_interval_of_no_width() -> None:
    found = distribution([2.0] * 50).at(0.5)

    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("count", range(1, 12))
def test_few_values_are_summarised_without_what_they_cannot_carry(count: int) -> None:
    found = distribution(normal(count))

    assert found.n == count
    assert found.p90 is None
    assert found.mean is not None


# SAD PATH


def test_distribution_of_nothing_has_no_numbers() -> None:
    assert distribution([]) == Distribution(n=0)
    assert distribution([]).at(0.99) == Quantile(p=0.99)


def test_distribution_of_censored_values_alone_has_no_numbers() -> None:
    found = distribution([3.0, 3.0], censored=np.array([True, True]))

    assert (found.n, found.censored, found.mean, found.p50) == (2, 2, None, None)
