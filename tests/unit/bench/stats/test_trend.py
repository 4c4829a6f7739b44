"""Trends that are there, and those that are not."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.trend import trend

TIMES = np.arange(100.0)
NOISE = np.random.default_rng(4).standard_normal(100)


def test_rising_values_have_a_trend_with_their_slope() -> None:
    found = trend(TIMES, 0.5 * TIMES + NOISE)

    assert found is not None
    assert found.slope_per_s == pytest.approx(0.5, rel=0.05)
    assert found.p_value < 1e-6


def test_noise_has_no_trend() -> None:
    found = trend(TIMES, NOISE)

    assert found is not None
    assert found.p_value > 0.1


def test_constant_values_have_no_trend() -> None:
    found = trend(TIMES, np.full(100, 2.0))

    assert found is not None
    assert (found.slope_per_s, found.p_value) == (0.0, 1.0)


def test_p_value_of_ten_ascending_values_is_that_of_the_formula() -> None:
    # S = 45, Var S = 10 x 9 x 25 / 18 = 125, z = 44 / 11.18 = 3.935: two-sided 8.3e-5
    found = trend(TIMES[:10], TIMES[:10])

    assert found is not None
    assert found.p_value == pytest.approx(8.3e-5, rel=0.01)


@pytest.mark.parametrize(("count", "per_batch"), [(9, 1), (99, 10), (0, 1)])
def test_fewer_than_ten_batches_tell_nothing(count: int, per_batch: int) -> None:
    assert trend(TIMES[:count], TIMES[:count], per_batch=per_batch) is None
