from __future__ import annotations

from replicore.gateway.routing.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, THRESHOLD, Breaker


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.failed()
    return breaker


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker()

    openings = [breaker.failed() for _ in range(THRESHOLD)]

    assert openings == [False] * (THRESHOLD - 1) + [True]
    assert breaker.state == "open"


def test_an_answer_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.failed()
        breaker.succeeded()

    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_for_longer() -> None:
    breaker = opened()
    breaker.probe()

    assert breaker.failed()
    assert breaker.pause_s == 2 * FIRST_PAUSE_S


def test_a_good_probe_closes_it_and_forgets() -> None:
    breaker = opened()
    breaker.probe()
    breaker.failed()
    breaker.probe()
    breaker.succeeded()

    assert (breaker.state, breaker.pause_s) == ("closed", FIRST_PAUSE_S)
    assert not breaker.failed()


def test_the_pause_is_bounded() -> None:
    breaker = opened()
    for _ in range(20):
        breaker.probe()
        breaker.failed()

    assert breaker.pause_s == LONGEST_PAUSE_S


def test_failures_of_requests_that_were_on_their_way_do_not_count_again() -> None:
    breaker = opened()

    assert not breaker.failed()
    assert not breaker.trip()
