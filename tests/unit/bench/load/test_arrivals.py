"""Arrivals: each process has the rate, the spread and the times that it is defined by."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from replicore.bench.load.arrivals import (
    Arrivals,
    Constant,
    Gamma,
    Load,
    Poisson,
    Ramp,
    Trace,
)
from replicore.errors import ConfigError

MANY = 20_000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def intervals(arrivals: Arrivals) -> npt.NDArray[np.float64]:
    return np.diff(arrivals.times(MANY, rng()))


def test_constant_arrivals_are_evenly_spaced_from_zero() -> None:
    assert Constant(4).times(5, rng()).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_poisson_intervals_have_the_rate_and_as_much_deviation_as_mean() -> None:
    gaps = intervals(Poisson(50))

    # Standard error of the mean 0.02 / sqrt(20000) = 0.00014
    assert abs(gaps.mean() - 0.02) < 0.0006
    assert abs(gaps.std() / gaps.mean() - 1) < 0.03


def test_poisson_intervals_do_not_depend_on_each_other() -> None:
    gaps = intervals(Poisson(50))

    # The correlation of independent values is 0 with a deviation of 1 / sqrt(20000) = 0.007.
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.03


def test_poisson_arrivals_are_not_stretched_to_end_at_a_round_time() -> None:
    ends = [Poisson(10).times(100, rng(seed))[-1] for seed in range(200)]

    # The end of 100 arrivals is gamma: mean 10 s, deviation sqrt(100) / 10 = 1 s.
    assert 0.8 < np.std(ends) < 1.2


@pytest.mark.parametrize("shape", [0.25, 4])
def test_gamma_intervals_have_the_rate_and_the_deviation_of_their_shape(shape: float) -> None:
    gaps = intervals(Gamma(50, shape))

    assert gaps.mean() == pytest.approx(0.02, rel=0.06)
    assert gaps.std() / gaps.mean() == pytest.approx(1 / math.sqrt(shape), rel=0.06)


def test_ramp_has_sent_the_integral_of_its_rate_at_every_time() -> None:
    times = Ramp(2, 10, 4).times(25, rng())

    # i = 2 t + t² during the ramp, which sends 24 in its 4 s.
    assert np.allclose(2 * times + times**2, np.arange(25))
    assert times[24] == 4


def test_ramp_stays_at_its_last_rate() -> None:
    times = Ramp(2, 10, 4).times(44, rng())

    assert np.allclose(np.diff(times[24:]), 0.1)


def test_ramp_may_fall_and_may_begin_at_zero() -> None:
    falling = np.diff(Ramp(10, 2, 4).times(24, rng()))
    rising = Ramp(0, 8, 4).times(17, rng())

    assert np.all(np.diff(falling) > 0)
    # t² = i, and 16 requests within the 4 s
    assert np.allclose(rising, np.sqrt(np.arange(17)))


def test_ramp_between_equal_rates_is_constant() -> None:
    assert np.allclose(Ramp(5, 5, 2).times(30, rng()), Constant(5).times(30, rng()))


def test_trace_begins_at_zero_and_keeps_its_gaps() -> None:
    assert Trace((100.0, 100.5, 103.0)).times(2, rng()).tolist() == [0, 0.5]


def test_trace_at_twice_the_speed_takes_half_the_time() -> None:
    assert Trace((0.0, 1.0, 4.0), speed=2).times(3, rng()).tolist() == [0, 0.5, 2]


def test_trace_tells_how_long_and_how_fast_it_is() -> None:
    assert str(Trace((0.0, 1.0))) == "trace of 2 arrivals"
    assert str(Trace((0.0, 1.0), speed=2)) == "trace of 2 arrivals, 2 times as fast"


def test_trace_has_no_more_arrivals_than_were_recorded() -> None:
    trace = Trace((0.0, 1.0))

    assert trace.limit == 2
    with pytest.raises(ConfigError, match="3 requests are more than the 2 of the trace"):
        trace.times(3, rng())


@pytest.mark.parametrize(
    "arrivals", [Constant(7), Poisson(7), Gamma(7, 0.5), Gamma(7, 3), Ramp(1, 9, 3)], ids=str
)
def test_first_arrivals_do_not_depend_on_how_many_follow(arrivals: Arrivals) -> None:
    few, many = arrivals.times(10, rng(3)), arrivals.times(500, rng(3))

    assert few.tolist() == many[:10].tolist()
    assert np.all(np.diff(many) >= 0)


@pytest.mark.parametrize("process", [Constant, Poisson, lambda rate: Gamma(rate, 1)])
@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_rate_that_is_none_is_refused(process: Callable[[float], Arrivals], rate: float) -> None:
    with pytest.raises(ConfigError, match="not above 0"):
        process(rate)


def test_gamma_without_a_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="gamma shape 0"):
        Gamma(1, 0)


@pytest.mark.parametrize(
    ("ramp", "message"),
    [((-1, 5, 1), "rate -1/s"), ((1, 0, 1), "ramp to 0/s"), ((1, 2, 0), "ramp of 0 s")],
)
def test_ramp_that_cannot_be_is_refused(ramp: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Ramp(*ramp)


def test_trace_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="without arrivals"):
        Trace(())
    with pytest.raises(ConfigError, match="must not descend"):
        Trace((1.0, 0.5))
    with pytest.raises(ConfigError, match="0 times as fast"):
        Trace((1.0,), speed=0)


def test_load_needs_a_concurrency_or_arrivals() -> None:
    assert Load(concurrency=None, arrivals=Poisson(1)).concurrency is None
    with pytest.raises(ConfigError, match="a concurrency or arrivals"):
        Load(concurrency=None)
    with pytest.raises(ConfigError, match="concurrency: 0 is below 1"):
        Load(concurrency=0)


def test_load_as_json_names_the_process() -> None:
    written = msgspec.to_builtins(Load(concurrency=None, arrivals=Gamma(7, 0.5)))

    assert written["arrivals"] == {"rate_per_s": 7, "shape": 0.5, "kind": "gamma"}
