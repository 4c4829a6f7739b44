"""Where a process takes its sessions from."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.client.feed import Handed, Listed
from replicore.bench.load.jobs import Session
from tests.unit.bench.client.made import session

FIRST, SECOND = session(0), session(1)


def test_listed_sessions_come_in_order_to_their_end() -> None:
    feed = Listed([FIRST, SECOND])

    assert (feed.peek(), feed.peek(), feed.ended) == (FIRST, FIRST, False)
    assert feed.take() == 0
    assert (feed.peek(), feed.ended) == (SECOND, False)
    assert feed.take() == 1
    assert (feed.peek(), feed.ended) == (None, True)


def test_listed_sessions_are_made_one_ahead() -> None:
    made: list[int] = []

    def sessions() -> Iterator[Session]:
        for index in range(10):
            made.append(index)
            yield session(index)

    feed = Listed(sessions())
    feed.take()

    assert made == [0, 1]


def test_empty_list_has_ended() -> None:
    assert Listed([]).ended


def test_handed_sessions_have_not_ended_while_more_may_come() -> None:
    feed = Handed()
    assert (feed.peek(), feed.ended) == (None, False)

    feed.add([(3, FIRST), (5, SECOND)])
    assert feed.peek() is FIRST
    assert (feed.take(), feed.take()) == (3, 5)
    assert (feed.peek(), feed.ended, feed.taken) == (None, False, 2)

    feed.close()
    assert feed.ended


def test_handed_sessions_have_not_ended_while_some_wait() -> None:
    feed = Handed()
    feed.add([(0, FIRST)])
    feed.close()

    assert not feed.ended
