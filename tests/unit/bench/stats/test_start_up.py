"""Where a series settles, and that one that is settled is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.arrays import Floats
from replicore.bench.stats.start_up import mser_cut, start_up


def levels(*parts: tuple[int, float]) -> Floats:
    """Noise between 0 and 1 above levels, each for so many values."""
    level = np.concatenate([np.full(count, height) for count, height in parts])
    return np.asarray(level + np.random.default_rng(8).random(len(level)))


def test_what_is_different_at_the_start_is_start_up() -> None:
    assert start_up(levels((50, 5.0), (200, 1.0)), depth=1) == pytest.approx(50, abs=5)


def test_start_up_may_be_low_as_well() -> None:
    assert start_up(levels((50, 0.0), (200, 3.0)), depth=1) == pytest.approx(50, abs=5)


@pytest.mark.parametrize("seed", range(20))
def test_steady_series_is_left_alone(seed: int) -> None:
    steady = np.random.default_rng(seed).lognormal(sigma=0.5, size=400)

    assert start_up(steady, depth=1) == 0


def test_slow_waves_of_requests_in_flight_are_no_start_up() -> None:
    # Eight neighbours are alike: a low first half of the waves is chance.
    waves = np.repeat(np.random.default_rng(2).standard_normal(50), 8)

    assert start_up(waves, depth=8) == 0


def test_stall_in_the_middle_is_not_cut_away() -> None:
    series = levels((200, 1.0))
    series[60:65] = 1000.0

    # By the values themselves all before it would go.
    assert mser_cut(series) == 65
    assert start_up(series, depth=1) == 0


def test_constant_series_has_no_start_up() -> None:
    assert start_up(np.full(100, 2.0), depth=1) == 0


def test_series_that_never_settles_is_not_cut() -> None:
    assert start_up(np.arange(200.0), depth=1) == 0


def test_mser_cuts_where_the_rest_is_known_best() -> None:
    # Batches of five: two of 10, then ten of 0: cutting two leaves no spread at all.
    assert mser_cut(np.repeat([10.0, 0.0], [10, 50])) == 10


@pytest.mark.parametrize("count", [0, 1, 49])
def test_mser_needs_ten_batches(count: int) -> None:
    assert mser_cut(np.arange(count, dtype=np.float64)[::-1]) == 0
