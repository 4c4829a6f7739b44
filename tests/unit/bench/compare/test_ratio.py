"""Ratios with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.compare.measured import Point
from replicore.bench.compare.ratio import of_pairs, of_points
from replicore.errors import UndefinedMetric
from tests.unit.bench.compare.runs import latencies

FIRST = np.array(latencies(1.0))


@pytest.mark.parametrize("statistic", ["mean", "p50", "p99"])
def test_a_ratio_of_pairs_is_the_second_over_the_first(statistic: str) -> None:
    values = FIRST[:100]
    ratio = of_pairs(values, values * 1.2, statistic, block=10, better="lower")

    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.2, 1.2, 1.2))
    assert ratio.improvement == 0.0


@pytest.mark.parametrize(("statistic", "p"), [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)])
@pytest.mark.parametrize("count", [100, 101])
def test_percentiles_of_pairs_are_numpys(statistic: str, p: float, count: int) -> None:
    first, second = FIRST[:40].repeat(3)[:count], np.array(latencies(2.0, count, seed=2))
    ratio = of_pairs(first, second, statistic, block=10, better="lower")

    assert ratio.value == pytest.approx(np.quantile(second, p) / np.quantile(first, p))


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(UndefinedMetric, match="49 values are fewer than 5 blocks of 10"):
        of_pairs(FIRST[:49], FIRST[:49], "mean", block=10, better="lower")


def test_numbers_with_intervals_have_a_ratio_with_one() -> None:
    # Each is off by a factor of 1.1, so the ratio by 1.1 to the power of the root of 2.
    ratio = of_points(Point(10.0, 10 / 1.1, 11.0), Point(20.0, 20 / 1.1, 22.0), better="higher")

    wide = 1.1 ** (2**0.5)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2.0, 2 / wide, 2 * wide))
    assert ratio.improvement > 0.999
    assert ratio.p_value < 0.001


def test_equal_numbers_are_as_likely_better_as_worse() -> None:
    point = Point(10.0, 9.0, 11.0)
    ratio = of_points(point, point, better="higher")

    assert (ratio.improvement, ratio.p_value) == pytest.approx((0.5, 1.0))


def test_a_number_without_an_interval_has_no_ratio_with_one() -> None:
    with pytest.raises(UndefinedMetric, match="one of the two numbers has no interval"):
        of_points(Point(10.0), Point(20.0, 19.0, 21.0), better="higher")
