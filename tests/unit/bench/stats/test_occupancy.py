"""Requests in flight as a step function."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.bench.stats.occupancy import Occupancy, in_flight, places
from tests.unit.bench.stats.records import record, span

# 1 from 0, 2 from 1 to 3, 1 to 4; then nothing, then 1 from 6 to 7
STEPS = Occupancy([(0.0, 3.0), (1.0, 4.0), (6.0, 7.0)])


@pytest.mark.parametrize(
    ("time_s", "level"), [(-1.0, 0), (0.0, 1), (1.0, 2), (2.9, 2), (3.0, 1), (4.0, 0), (7.0, 0)]
)
def test_span_holds_its_start_and_not_its_end(time_s: float, level: int) -> None:
    assert STEPS.at(np.array([time_s])).tolist() == [level]


def test_first_and_last_instant_of_a_level_are_found() -> None:
    assert STEPS.between(1) == (0.0, 7.0)
    assert STEPS.between(2) == (1.0, 3.0)
    assert STEPS.between(3) is None


def test_level_is_not_left_where_one_ends_as_the_next_begins() -> None:
    assert Occupancy([(0.0, 1.0), (1.0, 2.0)]).share(1, 0.0, 2.0) == 1.0


def test_mean_over_a_window_weighs_by_time() -> None:
    # From 2 to 7: 2 for 1 s, 1 for 1 s, 0 for 2 s, 1 for 1 s.
    assert STEPS.mean(2.0, 7.0) == pytest.approx(4 / 5)


def test_share_of_a_window_is_its_time_at_the_level() -> None:
    # Two in flight from 1 to 3 of 0 to 8.
    assert STEPS.share(2, 0.0, 8.0) == 0.25


def test_nothing_is_never_in_flight() -> None:
    empty = Occupancy([])

    assert (empty.between(1), empty.mean(0.0, 1.0), empty.share(1, 0.0, 1.0)) == (None, 0.0, 0.0)
    assert empty.at(np.array([0.0])).tolist() == [0.0]


def test_request_is_in_flight_until_its_stream_ends() -> None:
    # Its last token came at 3.0.
    assert in_flight([record(1.0, ended_s=3.5)]).between(1) == (1.0, 3.5)


def test_session_keeps_its_place_while_it_pauses() -> None:
    talk = [span(0.0, 1.0, session=4), span(3.0, 5.0, session=4, turn=1)]

    assert places(talk).share(1, 0.0, 5.0) == 1.0
    assert in_flight(talk).share(1, 0.0, 5.0) == pytest.approx(3 / 5)


def test_sessions_of_the_warmup_are_others() -> None:
    warmup = [span(0.0, 1.0, session=0), span(1.0, 2.0, session=0, turn=1)]
    talk = [span(8.0, 9.0, session=0), span(9.0, 10.0, session=0, turn=1)]

    assert places(warmup, talk).at(np.array([5.0])).tolist() == [0.0]
