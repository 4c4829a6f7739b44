from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.ledger import Account


def account(slots: int | None = 2, *, ready: bool = True) -> Account:
    return Account(name="r0", incarnation=1, slots=slots, ready=ready)


def test_a_ticket_closed_twice_counts_once() -> None:
    one = account()
    ticket = one.open()

    ticket.close(error=True)
    ticket.close(error=True)

    assert (one.outstanding, one.requests, one.errors) == (0, 1, 1)


def test_a_replica_has_room_while_a_slot_is_free() -> None:
    one = account(slots=2)
    room = [one.has_room]
    tickets = [one.open(), one.open()]
    room.append(one.has_room)
    tickets[0].close()
    room.append(one.has_room)

    assert room == [True, False, True]


def test_a_replica_without_known_slots_always_has_room() -> None:
    one = account(slots=None)
    for _ in range(100):
        one.open()

    assert one.has_room


def test_a_replica_that_is_not_ready_has_no_room() -> None:
    assert not account(ready=False).has_room


@given(st.lists(st.integers(min_value=0, max_value=30), max_size=100))
def test_outstanding_is_zero_once_all_tickets_are_closed_in_any_order(order: list[int]) -> None:
    one = account(slots=None)
    tickets = [one.open() for _ in range(31)]
    for index in order:
        tickets[index].close()

    for ticket in tickets:
        ticket.close()

    assert one.outstanding == 0
