"""Lengths: whole numbers from 1 up, of the distribution that was asked for."""

from __future__ import annotations

import math
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.bench.load.lengths import Lengths
from replicore.bench.load.seeds import uniforms
from replicore.errors import ConfigError


def drawn(lengths: Lengths, count: int) -> list[int]:
    chance = uniforms(0)
    return [lengths.from_uniforms(chance) for _ in range(count)]


def test_lengths_without_deviation_are_the_mean() -> None:
    assert drawn(Lengths(128), 20) == [128] * 20
    assert Lengths(128).fixed


def test_lengths_can_be_drawn_with_a_generator() -> None:
    lengths = [Lengths(500, 50).draw(np.random.default_rng(seed)) for seed in range(400)]

    # Standard error of the mean: 50 / sqrt(400) = 2.5
    assert abs(np.mean(lengths) - 500) < 10


def test_lengths_are_normal_around_the_mean() -> None:
    lengths = drawn(Lengths(500, 50), 2000)

    # Standard error of the mean: 50 / sqrt(2000) = 1.1; of the deviation: 50 / sqrt(4000) = 0.8.
    assert abs(np.mean(lengths) - 500) < 5
    assert abs(np.std(lengths) - 50) < 4


@given(mean=st.floats(1, 50), stddev=st.floats(0, 1000), seed=st.integers(0, 2**32))
def test_lengths_are_never_below_one_token(mean: float, stddev: float, seed: int) -> None:
    assert Lengths(mean, stddev).from_uniforms(uniforms(seed)) >= 1


def test_lengths_truncated_at_one_are_redrawn_rather_than_raised_to_one() -> None:
    # Half of a normal around 1 is below 1; raised to 1 they would be half of all lengths.
    assert drawn(Lengths(1, 10), 1000).count(1) < 150


def test_uniform_lengths_are_all_of_the_range_and_nothing_else() -> None:
    counts = Counter(drawn(Lengths.uniform(3, 6), 4000))

    assert set(counts) == {3, 4, 5, 6}
    # 1,000 of each expected; the deviation of a count is sqrt(4000 x 1/4 x 3/4) = 27.
    assert all(abs(count - 1000) < 130 for count in counts.values())


def test_uniform_lengths_tell_their_mean_and_deviation() -> None:
    lengths = Lengths.uniform(1, 3)

    # Of 1, 2, 3: mean 2, variance (1 + 0 + 1) / 3
    assert lengths.mean == 2
    assert lengths.stddev == pytest.approx(math.sqrt(2 / 3))


def test_empirical_lengths_are_drawn_as_often_as_they_were_seen() -> None:
    counts = Counter(drawn(Lengths.of([10, 20, 20, 20]), 4000))

    assert set(counts) == {10, 20}
    assert abs(counts[20] - 3000) < 130


def test_empirical_lengths_tell_their_mean_and_deviation() -> None:
    lengths = Lengths.of([10, 20, 20, 30])

    assert lengths.mean == 20
    assert lengths.stddev == pytest.approx(math.sqrt(200 / 4))


@pytest.mark.parametrize(
    ("lengths", "longest"),
    [
        (Lengths(100), 100),
        (Lengths(100, 10), 140),
        (Lengths.uniform(5, 60), 60),
        (Lengths.of([7, 9]), 9),
    ],
)
def test_likely_longest_is_the_largest_or_four_deviations_up(
    lengths: Lengths, longest: int
) -> None:
    assert lengths.likely_longest == longest


@pytest.mark.parametrize("mean", [0, 0.5, -1, math.nan, math.inf])
def test_mean_below_one_token_is_refused(mean: float) -> None:
    with pytest.raises(ConfigError, match="mean length"):
        Lengths(mean)


@pytest.mark.parametrize("stddev", [-1, math.nan, math.inf])
def test_deviation_that_is_none_is_refused(stddev: float) -> None:
    with pytest.raises(ConfigError, match="length deviation"):
        Lengths(10, stddev)


@pytest.mark.parametrize("bounds", [(0, 5), (6, 5)])
def test_uniform_bounds_that_hold_no_length_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="low <= high"):
        Lengths.uniform(*bounds)


def test_empirical_lengths_need_a_length_and_none_below_one() -> None:
    with pytest.raises(ConfigError, match="no lengths"):
        Lengths.of([])
    with pytest.raises(ConfigError, match="length 0 is below 1"):
        Lengths.of([4, 0])


@pytest.mark.parametrize("lengths", [Lengths(8, 2), Lengths.uniform(2, 4), Lengths.of([1, 5])])
def test_lengths_survive_json(lengths: Lengths) -> None:
    assert msgspec.json.decode(msgspec.json.encode(lengths), type=Lengths) == lengths
