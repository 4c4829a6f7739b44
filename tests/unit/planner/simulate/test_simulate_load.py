from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from replicore.errors import ConfigError
from replicore.planner.simulate.load import (
    ClosedLoop,
    OpenLoop,
    Requests,
    at_once,
    bursty,
    constant,
    nominal,
    normal,
    poisson,
    uniform,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_constant_arrivals_are_evenly_spaced_from_zero() -> None:
    assert constant(4.0, 4).times_s.tolist() == [0.0, 0.25, 0.5, 0.75]


def test_arrivals_at_once_are_all_at_zero() -> None:
    assert at_once(3).times_s.tolist() == [0.0, 0.0, 0.0]


def test_poisson_intervals_vary_as_much_as_their_mean() -> None:
    gaps = np.diff(poisson(5.0, 20_000, rng()).times_s)

    assert gaps.mean() == pytest.approx(0.2, rel=0.03)
    assert gaps.std() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize(("shape", "variation"), [(0.25, 2.0), (4.0, 0.5)])
def test_bursts_vary_by_one_over_the_root_of_the_shape(shape: float, variation: float) -> None:
    gaps = np.diff(bursty(5.0, shape, 20_000, rng()).times_s)

    assert gaps.mean() == pytest.approx(0.2, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.05)


def test_normal_lengths_have_mean_and_deviation_and_at_least_one_token() -> None:
    wide, narrow = normal(10, 20, 5000, rng()), normal(500, 50, 5000, rng())

    assert wide.min() == 1
    assert narrow.mean() == pytest.approx(500, rel=0.01)
    assert narrow.std() == pytest.approx(50, rel=0.05)


def test_uniform_lengths_include_both_ends() -> None:
    assert set(uniform(3, 5, 200, rng()).tolist()) == {3, 4, 5}


def test_nominal_lengths_are_the_upper_share() -> None:
    lengths = nominal(100, 0.8, 5000, rng())

    assert (lengths.min(), lengths.max()) == (80, 100)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: constant(0.0, 3), "rate 0/s is not above 0"),
        (lambda: bursty(1.0, 0.0, 3, rng()), "gamma shape 0 is not a number above 0"),
        (lambda: OpenLoop(np.array([1.0, 0.5])), "times of at least 0 s that do not descend"),
        (lambda: OpenLoop(np.array([0.0, np.inf])), "times of at least 0 s"),
        (lambda: ClosedLoop(0), "users: 0 is below 1"),
        (lambda: ClosedLoop(1, -1.0), "think times must be numbers of at least 0 s"),
        (lambda: normal(0.5, 1, 3, rng()), "lengths of 0.5 ± 1: at least 1 ± 0 must hold"),
        (lambda: uniform(5, 4, 3, rng()), r"lengths 5\.\.4: 1 <= low <= high must hold"),
        (lambda: nominal(10, 1.5, 3, rng()), "share 1.5 is not above 0 and at most 1"),
        (lambda: Requests.same(0, input_tokens=1, output_tokens=1), "there are no requests"),
        (lambda: Requests.same(2, input_tokens=1, output_tokens=0), "at least 1 token of input"),
        (
            lambda: Requests(input_tokens=np.ones(2, int), output_tokens=np.ones(3, int)),
            "output_tokens: 3 values for 2 requests",
        ),
    ],
)
def test_load_that_makes_no_sense_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
