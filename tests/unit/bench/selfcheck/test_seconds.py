from __future__ import annotations

import pytest

from replicore.bench.selfcheck.seconds import Seconds, Usage


def seconds(*, start: float = 100.0, zero: float = 99.0) -> Seconds:
    return Seconds(3, start, Usage(cpu_s=10.0, run_queue_s=1.0), zero=zero)


def test_second_has_the_shares_of_what_was_used_in_it() -> None:
    meter = seconds()
    meter.close(102.0, Usage(cpu_s=11.0, run_queue_s=1.25))
    (first, *_) = meter.all(102.0, Usage(cpu_s=11.0, run_queue_s=1.25))

    assert (first.worker, first.start_s) == (3, 1.0)
    # 1 s of CPU in 2 s
    assert (first.cpu_share, first.run_queue_s) == (0.5, 0.25)


def test_second_keeps_its_longest_delay_and_the_sum_of_its_pauses() -> None:
    meter = seconds()
    for lag in (0.001, 0.004, 0.002):
        meter.late(lag)
        meter.paused(0.01)
    (second,) = meter.all(101.0, Usage(cpu_s=10.0, run_queue_s=1.0))

    assert second.loop_lag_s == 0.004
    assert second.gc_s == pytest.approx(0.03)


def test_each_second_begins_anew_where_the_last_one_ended() -> None:
    meter = seconds()
    meter.late(0.5)
    meter.close(101.0, Usage(cpu_s=10.5, run_queue_s=1.0))
    first, second = meter.all(101.5, Usage(cpu_s=10.5, run_queue_s=1.0))

    assert (first.start_s, second.start_s) == (1.0, 2.0)
    assert (first.loop_lag_s, second.loop_lag_s) == (0.5, 0.0)
    assert (first.cpu_share, second.cpu_share) == (0.5, 0.0)


def test_second_is_over_after_its_length_and_not_before() -> None:
    meter = seconds()

    assert not meter.is_over(100.999)
    assert meter.is_over(101.0)


def test_a_second_of_no_length_is_none() -> None:
    meter = seconds()

    assert meter.all(100.0, Usage(cpu_s=10.0, run_queue_s=1.0)) == []


def test_run_queue_is_unknown_where_nobody_tells() -> None:
    meter = Seconds(0, 0.0, Usage(cpu_s=0.0, run_queue_s=None), zero=0.0)
    (second,) = meter.all(1.0, Usage(cpu_s=0.0, run_queue_s=None))

    assert second.run_queue_s is None
