"""Which endpoint a request goes to."""

from __future__ import annotations

from replicore.bench.client.targets import Target, Targets
from replicore.http.client import Pool
from replicore.http.stamped import Arrival


def targets(count: int) -> list[Target]:
    return [
        Target(url, Pool(url), Arrival())
        for url in (f"http://127.0.0.1:{port}" for port in range(1, count + 1))
    ]


def test_round_robin_takes_each_in_turn_however_busy() -> None:
    a, b, c = ends = targets(3)
    a.in_flight, b.failures = 9, 9
    choice = Targets(ends, "round_robin")

    assert [choice.pick() for _ in range(5)] == [a, b, c, a, b]


def test_round_robin_goes_by_the_number_that_a_request_has_over_all_processes() -> None:
    a, b, _ = ends = targets(3)
    choice = Targets(ends, "round_robin")

    assert [choice.pick(number=number) for number in (4, 6, 1)] == [b, a, b]


def test_least_in_flight_takes_the_one_with_the_fewest() -> None:
    a, b, c = ends = targets(3)
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 3

    assert Targets(ends, "least_in_flight").pick() is b


def test_least_in_flight_takes_equal_ones_in_turn() -> None:
    a, b, c = ends = targets(3)
    choice = Targets(ends, "least_in_flight")

    assert [choice.pick() for _ in range(4)] == [a, b, c, a]


def test_failure_counts_as_a_request_in_flight() -> None:
    a, b = ends = targets(2)
    a.failures, b.in_flight = 2, 1

    assert Targets(ends, "least_in_flight").pick() is b


def test_processes_begin_with_different_endpoints() -> None:
    firsts = [
        Targets(targets(2), "least_in_flight", first=worker).pick().endpoint for worker in range(2)
    ]

    assert len(set(firsts)) == 2


def test_sticky_session_stays_where_it_was() -> None:
    a, b = ends = targets(2)
    a.in_flight = 7
    choice = Targets(ends, "sticky")

    assert choice.pick() is b
    assert choice.pick(previous=a) is a


def test_other_policies_do_not_look_where_a_session_was() -> None:
    a, b = ends = targets(2)
    a.in_flight = 7

    assert Targets(ends, "least_in_flight").pick(previous=a) is b
    assert Targets(ends, "round_robin").pick(previous=a, number=1) is b
