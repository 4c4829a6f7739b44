"""Amounts per second over a window."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.flow import Flow, output_tokens
from replicore.bench.stats.rates import batch_count, batch_rates, rate
from replicore.bench.stats.window import Window
from tests.unit.bench.stats.records import record


def window(start: float, end: float, *, steady: bool = True) -> Window:
    return Window(start_s=start, end_s=end, steady=steady)


def flow(*times: float) -> Flow:
    return Flow(np.array(times), np.ones(len(times)), np.zeros(len(times), dtype=np.int64))


def test_tokens_count_where_they_arrive_and_not_where_the_request_ends() -> None:
    # Chunks of 1, 2, 4 tokens at 1, 2, 3 s; a half-open window [2, 3) holds the second only.
    arrived = output_tokens([record(chunks=(1.0, 2.0, 3.0), tokens=(1, 2, 4))])

    inside, everything = rate(arrived, window(2.0, 3.0)), rate(arrived, window(0.0, 3.5))
    assert inside is not None
    assert everything is not None
    assert (inside.value, everything.value) == (2.0, 2.0)


def test_batches_are_equal_parts_of_the_window() -> None:
    # Two parts of 2 s each: two arrivals, then one; the end is outside.
    assert batch_rates(flow(0.0, 1.9, 2.0, 4.0), window(0.0, 4.0), 2).tolist() == [1.0, 0.5]


def test_interval_is_of_the_batches() -> None:
    # 40 batches of 1 s with 1 or 3 arrivals by turns: that they alternate is not held in favour of
    # the mean. V = 40 / 39 is that of one batch, with 39 degrees of freedom, t = 2.023:
    # 2 -+ 2.023 sqrt(40 / 39 / 40) = 2 -+ 0.324
    times = [second + 0.5 for second in range(40) for _ in range(1 + 2 * (second % 2))]
    found = rate(flow(*times), window(0.0, 40.0), batches=40)

    assert found is not None
    assert found.value == 2.0
    assert (found.low, found.high) == pytest.approx((1.676, 2.324), abs=2e-3)


def test_interval_of_batches_that_are_alike_is_wider() -> None:
    # The same 40 batches, but first all with 1 and then all with 3.
    times = [second + 0.5 for second in range(40) for _ in range(3 if second > 19 else 1)]
    found = rate(flow(*times), window(0.0, 40.0), batches=40)

    assert found is not None
    assert found.high is not None
    assert found.high > 3.0


def test_rate_is_never_below_zero() -> None:
    found = rate(flow(0.5), window(0.0, 10.0), batches=10)

    assert found is not None
    assert found.low == 0.0


@pytest.mark.parametrize(
    ("length", "residence", "batches"),
    [(29.9, 1.0, None), (30.0, 1.0, 30), (60.0, 2.0, 30), (9000.0, 1.0, 2000), (30.0, None, None)],
)
def test_batch_is_one_residence_time_long(
    length: float, residence: float | None, batches: int | None
) -> None:
    assert batch_count(window(0.0, length), residence) == batches


def test_run_that_is_not_steady_has_no_batches() -> None:
    assert batch_count(window(0.0, 100.0, steady=False), 1.0) is None


def test_window_of_no_length_has_no_rate() -> None:
    assert rate(flow(1.0), window(1.0, 1.0)) is None
