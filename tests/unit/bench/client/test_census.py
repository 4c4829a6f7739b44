"""How many requests there will be."""

from __future__ import annotations

from replicore.bench.client.census import Census, take_census
from tests.unit.bench.client.made import session

SESSIONS = [session(0, warmup=True), session(1, warmup=True), session(0, turns=3), session(1)]


def test_census_counts_the_requests_of_a_list() -> None:
    assert take_census(SESSIONS) == Census(total=4, warmup=2, sessions=4)


def test_census_of_a_run_by_time_has_no_total() -> None:
    assert take_census(SESSIONS, by_time=True) == Census(total=None, warmup=2, sessions=4)


def test_census_of_an_iterator_knows_nothing_and_takes_nothing() -> None:
    sessions = iter(SESSIONS)

    assert take_census(sessions) == Census()
    assert list(sessions) == SESSIONS
