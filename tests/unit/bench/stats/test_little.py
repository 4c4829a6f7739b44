"""Little's law holds for whole records and fails for records that lack requests."""

from __future__ import annotations

import pytest

from replicore.bench.stats.little import little
from replicore.bench.stats.window import Window
from tests.unit.bench.stats.records import OPEN, back_to_back, failed, run, span


def window(start: float, end: float, *, steady: bool = True) -> Window:
    return Window(start_s=start, end_s=end, steady=steady)


def test_both_sides_agree_for_a_whole_record() -> None:
    # Four in flight for 100 s, four new ones each second, each of 1 s.
    found = little(run(*back_to_back(100, places=4), concurrency=4), window(0.0, 100.0))

    assert found is not None
    assert (found.in_flight, found.arrival_rate_per_s, found.residence_s) == (4.0, 4.0, 1.0)
    assert found.residual == pytest.approx(0.0)
    # 2 %, and one residence time of a hundred
    assert found.tolerance == pytest.approx(0.03)
    assert found.holds


def test_missing_requests_are_noticed() -> None:
    # Every tenth is not in the record: 3.6 a second of 1 s each are not the 4 in flight.
    kept = [one for one in back_to_back(100, places=4) if one.index % 10]
    found = little(run(*kept, concurrency=4), window(0.0, 100.0))

    assert found is not None
    assert found.residual == pytest.approx(4 / 3.6 - 1)
    assert not found.holds


def test_requests_in_flight_of_an_open_loop_are_those_of_the_records() -> None:
    # One each second, of 2 s each: from 2 s on two are in flight.
    records = [span(float(second), second + 2.0) for second in range(20)]
    found = little(run(*records, load=OPEN), window(2.0, 19.0))

    assert found is not None
    assert (found.in_flight, found.residual) == (2.0, 0.0)


def test_places_of_sessions_are_not_all_in_flight() -> None:
    # One session: 1 s of each 4 s.
    talk = [span(4.0 * turn, 4.0 * turn + 1.0, session=0, turn=turn) for turn in range(10)]
    found = little(run(*talk), window(0.0, 40.0))

    assert found is not None
    assert (found.in_flight, found.residual) == (0.25, 0.0)


def test_failed_requests_are_in_flight_too() -> None:
    found = little(run(failed(ended_s=2.0)), window(0.0, 4.0, steady=False))

    assert found is not None
    assert found.in_flight == 0.5


def test_nothing_dispatched_in_the_window_leaves_nothing_to_check() -> None:
    assert little(run(*back_to_back(2)), window(5.0, 6.0)) is None
    assert little(run(), window(0.0, 0.0)) is None
