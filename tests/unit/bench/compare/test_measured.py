"""The common form: statistics of values, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.compare.meaning import STREAM_END, Metric
from replicore.bench.compare.measured import (
    RATE,
    Point,
    of_rate,
    of_several,
    of_summary,
    of_values,
    present,
)
from tests.unit.bench.compare.runs import latencies


def test_values_give_mean_and_percentiles_in_seconds_with_their_intervals() -> None:
    # 1 to 1001 ms: mean 501, and p lies at 1 + 1000 p.
    shuffled = np.random.default_rng(1).permutation(np.arange(1, 1002)).tolist()
    reading = of_values("ms", shuffled, depth=1, scale=0.001)
    assert reading is not None

    found = {name: point.value for name, point in reading.points.items()}
    assert found == pytest.approx(
        {"mean": 0.501, "p50": 0.501, "p90": 0.901, "p95": 0.951, "p99": 0.991}
    )
    p99 = reading.points["p99"]
    assert p99.low is not None
    assert p99.high is not None
    assert 0.97 < p99.low < 0.991 < p99.high <= 1.001


def test_percentiles_that_the_values_do_not_carry_are_left_out() -> None:
    reading = of_values("x", latencies(0.2, count=60), depth=1)
    assert reading is not None

    assert "p50" in reading.points
    assert "p99" not in reading.points


def test_values_keep_the_place_of_a_request_without_one() -> None:
    reading = of_values("x", [1.0, None, 3.0], depth=1, departures=[STREAM_END])
    assert reading is not None
    assert reading.values is not None

    assert np.isnan(reading.values).tolist() == [False, True, False]
    assert reading.points["mean"].value == 2.0
    assert reading.departures == {STREAM_END}


@pytest.mark.parametrize("values", [[], [None, None]])
def test_nothing_defined_is_no_reading(values: list[None]) -> None:
    assert of_values("x", values, depth=1) is None


def test_several_values_of_a_request_have_statistics_but_no_value_for_each() -> None:
    reading = of_several("gaps", [[0.1, 0.3], [], [0.2]] * 20, depth=8)
    assert reading is not None

    assert reading.points["p50"].value == pytest.approx(0.2)
    assert reading.values is None
    assert of_several("gaps", [[]], depth=8) is None


def test_a_summary_leaves_out_what_the_file_does_not_say() -> None:
    reading = of_summary("x", {"mean": 200.0, "p99": None}, scale=0.001)
    assert reading is not None

    assert reading.points == {"mean": Point(0.2)}
    assert of_summary("x", {"mean": None}) is None


def test_a_rate_is_one_point_with_its_interval() -> None:
    reading = of_rate("tok/s", 30.0, low=28.0, high=33.0)
    assert reading is not None

    assert reading.points == {RATE: Point(30.0, 28.0, 33.0)}
    assert of_rate("tok/s", None) is None


def test_present_drops_what_is_not_there() -> None:
    reading = of_rate("tok/s", 1.0)

    assert present({Metric.TTFT: None, Metric.OUTPUT_RATE: reading}) == {
        Metric.OUTPUT_RATE: reading
    }
