from __future__ import annotations

import pytest

from replicore.bench.selfcheck.mock.spread import Durations, Spread


def spread(*seconds: float) -> Spread:
    durations = Durations()
    for one in seconds:
        durations.add(one)
    return durations.spread()


def test_quantiles_are_rounded_up_to_ten_microseconds() -> None:
    found = spread(*[0.000_123] * 99, 0.5)

    assert found.p50_s == pytest.approx(0.000_13)
    assert found.p99_s == pytest.approx(0.000_13)
    assert (found.n, found.max_s) == (100, 0.5)


def test_p99_is_the_largest_where_more_than_one_in_a_hundred_is_that_large() -> None:
    assert spread(*[0.001] * 98, 0.5, 0.5).p99_s == pytest.approx(0.5)


def test_no_quantile_is_above_the_largest_that_was_seen() -> None:
    assert spread(0.000_123).p99_s == 0.000_123


def test_what_is_below_zero_counts_as_zero() -> None:
    found = spread(-0.5, -0.5, 7.0)

    assert (found.n, found.p50_s, found.max_s) == (3, 0.000_01, 7.0)


def test_nothing_has_a_spread_of_zero() -> None:
    assert spread() == Spread(n=0, p50_s=0.0, p99_s=0.0, max_s=0.0)
