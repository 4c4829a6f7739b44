"""Ratios of configurations, with intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.rates import Rate
from replicore.bench.stats.scaling import (
    Better,
    holm,
    paired_ratio,
    quantile,
    scaling_efficiency,
)
from replicore.errors import UndefinedMetric

RNG = np.random.default_rng(6)
PROMPTS = 1 + RNG.random(200)
NOISE = 1 + 0.01 * RNG.standard_normal(200)


def test_efficiency_compares_with_as_many_single_replicas() -> None:
    # 180 tok/s of 2 replicas where one has 100
    found = scaling_efficiency(Rate(value=180.0), 2, Rate(value=100.0))

    assert (found.value, found.low, found.high) == (0.9, None, None)


def test_interval_of_an_efficiency_adds_those_of_both_rates() -> None:
    # Each end 10 % away: e^-d with d = sqrt(2) log(1.1) downwards and upwards.
    many = Rate(value=180.0, low=180 / 1.1, high=180 * 1.1)
    one = Rate(value=100.0, low=100 / 1.1, high=100 * 1.1)
    found = scaling_efficiency(many, 2, one)

    distance = math.sqrt(2) * math.log(1.1)
    assert found.low == pytest.approx(0.9 * math.exp(-distance))
    assert found.high == pytest.approx(0.9 * math.exp(distance))


def test_ratio_of_pairs_is_of_their_means() -> None:
    found = paired_ratio(0.8 * PROMPTS * NOISE, PROMPTS, better="lower")

    assert found.value == pytest.approx(0.8, rel=0.01)
    assert found.low < 0.8 < found.high
    assert found.improvement == 1.0
    assert found.p_value < 0.001


def test_no_difference_has_an_improbable_improvement_and_no_small_p() -> None:
    found = paired_ratio(PROMPTS, PROMPTS, better="higher")

    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert (found.improvement, found.p_value) == (0.5, 1.0)


@pytest.mark.parametrize(("better", "improvement"), [("higher", 1.0), ("lower", 0.0)])
def test_improvement_goes_by_which_direction_is_better(better: Better, improvement: float) -> None:

    assert paired_ratio(2 * PROMPTS, PROMPTS, better=better).improvement == improvement


@pytest.mark.parametrize("p", [0.0, 0.37, 0.5, 0.99, 1.0])
def test_quantile_of_a_resample_is_numpys(p: float) -> None:
    assert quantile(p)(PROMPTS) == pytest.approx(float(np.quantile(PROMPTS, p)))


def test_ratio_of_another_statistic() -> None:
    found = paired_ratio(3 * PROMPTS, PROMPTS, better="higher", statistic=quantile(0.9))

    assert found.value == pytest.approx(3.0)


def test_same_seed_gives_the_same_interval() -> None:
    first, again = (paired_ratio(PROMPTS, NOISE, better="higher", seed=9) for _ in range(2))

    assert first == again


def correlated(seed: int) -> Floats:
    noise = np.random.default_rng(seed).standard_normal(400)
    return np.exp(np.convolve(noise, np.ones(10) / 4, mode="same"))


def test_longer_blocks_widen_the_interval_of_a_correlated_series() -> None:
    narrow = paired_ratio(correlated(1), correlated(2), better="higher", block=1)
    wide = paired_ratio(correlated(1), correlated(2), better="higher", block=20)

    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_holm_adjusts_the_smallest_by_all_and_keeps_the_order() -> None:
    # Sorted 0.01, 0.02, 0.03: 3 x 0.01, 2 x 0.02, and 1 x 0.03 raised to the 0.04 before it.
    assert holm([0.03, 0.01, 0.02]) == pytest.approx((0.04, 0.03, 0.04))


def test_holm_never_exceeds_one() -> None:
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


# SAD PATH


@pytest.mark.parametrize(("many", "one"), [(180.0, 0.0), (0.0, 100.0)])
def test_efficiency_of_nothing_is_undefined(many: float, one: float) -> None:
    with pytest.raises(UndefinedMetric, match="two rates above 0"):
        scaling_efficiency(Rate(value=many), 2, Rate(value=one))


def test_ratio_of_too_few_blocks_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="49 values are fewer than 5 blocks of 10"):
        paired_ratio(PROMPTS[:49], PROMPTS[:49], better="lower")


def test_ratio_to_nothing_is_undefined() -> None:
    with pytest.raises(UndefinedMetric, match="a ratio to 0"):
        paired_ratio(PROMPTS, np.zeros(200), better="lower")


def test_series_of_different_length_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="200 values cannot be paired with 100"):
        paired_ratio(PROMPTS, PROMPTS[:100], better="lower")
