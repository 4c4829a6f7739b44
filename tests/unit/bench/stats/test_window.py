"""Which part of a run is measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.record import BenchResult, FailureKind
from replicore.bench.stats.window import Window, measuring_window, whole_run
from tests.unit.bench.stats.records import OPEN, back_to_back, failed, record, run, span


def steady_run() -> BenchResult:
    """Two in flight for 0..9 s: A 0-3, B 0-4, C 3-6, D 4-9, E 6-10."""
    spans = [(0.0, 3.0), (0.0, 4.0), (3.0, 6.0), (4.0, 9.0), (6.0, 10.0)]
    return run(*(span(start, end) for start, end in spans), concurrency=2)


def test_steady_window_ends_when_the_concurrency_cannot_be_kept() -> None:
    # 9 s are more than two mean residence times: 2 (3 + 4 + 3 + 5 + 4) / 5 = 7.6 s
    assert measuring_window(steady_run()) == Window(start_s=0.0, end_s=9.0, steady=True)


def test_steady_window_starts_with_the_first_measured_request() -> None:
    records = steady_run().records
    result = run(*records[2:], warmup=records[:2], concurrency=2)

    # C at 3 s is the first measured one; [3, 9) is shorter than two mean times of C, D, E:
    # 2 (3 + 5 + 4) / 3 = 8 s, so the whole run counts.
    assert measuring_window(result).steady is False
    assert measuring_window(result).start_s == 3.0


def test_window_is_the_whole_run_where_the_concurrency_was_never_reached() -> None:
    result = run(record(1.0, chunks=(2.0,)), record(2.0, chunks=(4.0,)), concurrency=8)
    found = measuring_window(result)

    assert (found.start_s, found.steady) == (1.0, False)
    assert found.length_s == pytest.approx(3.0)
    assert found.holds(4.0)


def test_window_tolerates_one_of_twenty_places_being_empty() -> None:
    # 19 of 20 are 95 %: the request that ended early does not end the window.
    records = [record(0.0, chunks=(0.1, 10.0)) for _ in range(19)]
    short = [record(0.0, chunks=(0.05, 0.1)) for _ in range(60)]
    found = measuring_window(run(*records, *short, concurrency=20))

    assert found == Window(start_s=0.0, end_s=10.0, steady=True)


def test_pauses_between_the_turns_of_sessions_do_not_end_the_window() -> None:
    turns = [span(3.0 * turn, 3.0 * turn + 1.0, session=0, turn=turn) for turn in range(5)]

    # One place, taken from 0 to 13 although nothing is in flight most of the time.
    assert measuring_window(run(*turns)) == Window(start_s=0.0, end_s=13.0, steady=True)


def test_window_of_an_open_loop_begins_when_the_first_can_be_answered() -> None:
    # A request each second that takes 2 s, without warm-up: full from 2 s on, none sent after 19.
    records = [span(float(second), second + 2.0) for second in range(20)]

    assert measuring_window(run(*records, load=OPEN)) == Window(
        start_s=2.0, end_s=19.0, steady=True
    )


def test_warmup_of_an_open_loop_has_filled_the_servers_before() -> None:
    records = [span(float(second), second + 2.0) for second in range(20)]
    result = run(*records[5:], warmup=tuple(records[:5]), load=OPEN)

    assert measuring_window(result) == Window(start_s=5.0, end_s=19.0, steady=True)


def test_limit_of_an_open_loop_does_not_make_it_a_closed_one() -> None:
    records = [span(float(second), second + 2.0) for second in range(20)]
    load = Load(concurrency=100, arrivals=OPEN.arrivals)

    assert measuring_window(run(*records, load=load)).steady is True


def test_start_up_is_trimmed_from_the_steady_part() -> None:
    # One place: 20 requests of 4 s to the first token while the server warms up, then 200 of 0.5 s.
    slow = [record(5.0 * n, chunks=(5.0 * n + 4, 5.0 * n + 5)) for n in range(20)]
    quick = back_to_back(200, start=100.0)
    found = measuring_window(run(*slow, *quick))

    assert found.start_s == pytest.approx(100.0, abs=5.0)
    assert found.trimmed_s == found.start_s
    assert found.end_s == 300.0


def test_trimming_never_costs_half_of_the_requests() -> None:
    # One of the two places goes on without any tokens after the other's burst.
    silent = failed(FailureKind.CUT, chunks=(99.0,), ended_s=99.0)

    assert measuring_window(run(record(), silent)).trimmed_s == 0.0


# SAD PATH


def test_run_of_nothing_has_a_window_of_no_length() -> None:
    for load in (Load(concurrency=1), OPEN):
        assert measuring_window(run(load=load)).length_s == 0.0
    assert whole_run([]) == Window(start_s=0.0, end_s=0.0, steady=False)


def test_run_of_failures_alone_is_taken_whole() -> None:
    found = measuring_window(run(failed(ended_s=1.0), failed(ended_s=2.0)))

    assert (found.start_s, found.steady, found.holds(2.0)) == (0.0, False, True)


def test_failures_of_the_warmup_do_not_delay_an_open_loop() -> None:
    records = [span(float(second), second + 2.0) for second in range(20)]
    dead = replace(failed(), dispatched_s=0.0, ended_s=15.0)

    assert measuring_window(run(*records, warmup=(dead,), load=OPEN)).start_s == 2.0
