"""What the records say of the load client."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.load.arrivals import Load
from replicore.bench.stats.client import client_summary, send_delays
from replicore.bench.stats.window import Window, measuring_window
from tests.unit.bench.stats.records import OPEN, Planned, back_to_back, failed, record, run, span

WINDOW = Window(start_s=0.0, end_s=10.0, steady=True)


def test_send_delay_is_from_the_intended_time_to_the_last_written_byte() -> None:
    # 0.5 - 0.25; one that was never written counts to its dispatch: 0.375 - 0.25
    sent = record(0.375, intended_s=0.25, written_s=0.5)
    unsent = failed(start=0.375, intended_s=0.25)

    assert send_delays(run(sent, unsent, load=OPEN)).tolist() == [0.25, 0.125]


def test_waiting_for_a_place_is_not_the_clients_delay() -> None:
    # Two places, both taken until 4 s; the third should have left at 1 s and left at 4.5 s.
    taken = [span(0.0, 4.0), span(0.0, 9.0)]
    waited = span(4.5, 6.0, intended_s=1.0)
    load = Load(concurrency=2, arrivals=Planned())

    assert send_delays(run(*taken, waited, load=load)).tolist() == [0.0, 0.0, 0.5]


def test_delay_with_places_left_is_the_clients() -> None:
    # The place that became free at 4 s is not what the third had waited for: there were three.
    taken = [span(0.0, 4.0), span(0.0, 9.0)]
    late = span(4.5, 6.0, intended_s=1.0)
    load = Load(concurrency=3, arrivals=Planned())

    assert send_delays(run(*taken, late, load=load)).tolist() == [0.0, 0.0, 3.5]


def test_rates_of_a_plan_are_asked_and_reached_from_first_to_last() -> None:
    # 11 requests each 0.5 s from 0 to 5; the client fell behind, and sent the last one at 6.
    records = [span(0.6 * n, 0.6 * n + 1, intended_s=0.5 * n) for n in range(11)]
    found = client_summary(run(*records, load=OPEN), WINDOW)

    assert found.requested_rate_per_s == pytest.approx(2.0)
    assert found.achieved_rate_per_s == pytest.approx(10 / 6)
    assert found.full_share is None


def test_later_turns_are_not_part_of_the_plan() -> None:
    talk = [span(float(n), n + 0.5, session=n) for n in range(5)]
    later = [span(n + 100.0, n + 101.0, session=n, turn=1) for n in range(5)]

    assert client_summary(run(*talk, *later, load=OPEN), WINDOW).requested_rate_per_s == 1.0


def test_closed_loop_asks_for_no_rate_and_tells_how_long_it_was_full() -> None:
    # Place two is empty from 3 to 4 of 0 to 10.
    records = [span(0.0, 10.0), span(0.0, 3.0), span(4.0, 10.0)]
    found = client_summary(run(*records, concurrency=2), WINDOW)

    assert found.requested_rate_per_s is None
    assert found.achieved_rate_per_s == pytest.approx(3 / 10)
    assert found.full_share == pytest.approx(0.9)


def test_read_lag_is_of_all_chunks_where_there_are_stamps() -> None:
    # 100 chunks: 99 read at once, one 0.5 s late; p99 is at position 98.01.
    lags = (*np.zeros(99).tolist(), 0.5)
    stamped = record(chunks=tuple(np.arange(100.0).tolist()), chunk_lags_s=lags)

    assert client_summary(run(stamped), WINDOW).read_lag_p99_s == pytest.approx(0.005)
    assert client_summary(run(record()), WINDOW).read_lag_p99_s is None


def test_client_of_a_full_loop_is_always_full() -> None:
    result = run(*back_to_back(50, places=4), concurrency=4)

    assert client_summary(result, measuring_window(result)).full_share == 1.0


# SAD PATH


@pytest.mark.parametrize("load", [Load(concurrency=1), OPEN])
def test_client_without_requests_has_no_numbers(load: Load) -> None:
    result = run(load=load)
    found = client_summary(result, measuring_window(result))

    assert (found.send_delay_p99_s, found.achieved_rate_per_s) == (None, None)


def test_rate_of_a_single_planned_request_is_unknown() -> None:
    assert client_summary(run(record(), load=OPEN), WINDOW).requested_rate_per_s is None
