from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.gateway.admission import GUARD, HIGH, LOW, NORMAL, FairQueue, QueueFull


def anyone(entry: str) -> bool:
    return True


def served(queue: FairQueue[str], count: int | None = None) -> list[str]:
    turns = [queue.take(anyone) for _ in range(len(queue) if count is None else count)]
    return [entry for entry in turns if entry is not None]


@pytest.fixture(name="queue")
def _queue() -> FairQueue[str]:
    return FairQueue(100)


def test_empty_queue_gives_nothing(queue: FairQueue[str]) -> None:
    assert queue.take(anyone) is None
    assert queue.entries() == []
    assert len(queue) == 0


def test_entries_of_one_caller_are_served_in_the_order_they_came(queue: FairQueue[str]) -> None:
    for entry in "abc":
        queue.push(entry)

    assert served(queue) == ["a", "b", "c"]


def test_full_queue_refuses_all_but_a_resumed_stream() -> None:
    queue: FairQueue[str] = FairQueue(1)
    queue.push("a")

    with pytest.raises(QueueFull):
        queue.push("b")
    queue.push("resumed", front=True)

    assert served(queue) == ["resumed", "a"]


def test_callers_take_turns_however_much_one_of_them_asks(queue: FairQueue[str]) -> None:
    for entry in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        queue.push(entry, caller=entry[0])

    assert served(queue) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_caller_that_comes_back_waits_for_one_turn_of_the_others(queue: FairQueue[str]) -> None:
    for entry in ("a1", "a2", "b1", "b2"):
        queue.push(entry, caller=entry[0])
    assert served(queue, 1) == ["a1"]

    queue.push("c1", caller="c")

    assert served(queue) == ["b1", "a2", "c1", "b2"]


def test_higher_classes_are_served_first(queue: FairQueue[str]) -> None:
    for entry, priority in (("low", LOW), ("normal", NORMAL), ("high", HIGH)):
        queue.push(entry, priority=priority)

    assert served(queue) == ["high", "normal", "low"]


def test_resumed_streams_go_before_every_class_the_oldest_first(queue: FairQueue[str]) -> None:
    queue.push("high", priority=HIGH)
    queue.push("r1", caller="a", priority=LOW, front=True)
    queue.push("r2", caller="b", priority=HIGH, front=True)
    queue.push("r3", caller="a", front=True)

    assert served(queue) == ["r1", "r2", "r3", "high"]


def test_class_that_was_passed_over_long_enough_is_served_once(queue: FairQueue[str]) -> None:
    queue.push("low", priority=LOW)
    queue.push("later", priority=LOW)
    for _ in range(2 * GUARD + 2):
        queue.push(f"high {len(queue)}", priority=HIGH)

    order = served(queue)

    assert (order.index("low"), order.index("later")) == (GUARD, 2 * GUARD + 1)


def test_each_of_two_lower_classes_is_given_one_of_every_ten_slots(queue: FairQueue[str]) -> None:
    for priority, name in ((HIGH, "h"), (NORMAL, "n"), (LOW, "l")):
        for _ in range(30):
            queue.push(f"{name}{len(queue)}", priority=priority)

    # Eight of high pass, then normal and low have one each: GUARD + 2 slots.
    assert "".join(entry[0] for entry in served(queue, 30)) == ("h" * 8 + "nl") * 3


def test_class_that_was_empty_in_between_starts_over(queue: FairQueue[str]) -> None:
    queue.push("gone", priority=LOW)
    for index in range(GUARD + 1):
        queue.push(f"high {index}", priority=HIGH)
    served(queue, GUARD)
    queue.remove("gone")

    queue.push("low", priority=LOW)

    assert served(queue) == ["high 8", "low"]


def test_entry_that_does_not_fit_is_passed_by_and_keeps_its_place(queue: FairQueue[str]) -> None:
    for entry in ("a1", "a2", "b1", "b2"):
        queue.push(entry, caller=entry[0])

    assert queue.take(lambda entry: entry.startswith("b")) == "b1"
    assert queue.take(lambda entry: entry != "a1") == "a2"
    assert served(queue) == ["b2", "a1"]


def test_starved_class_that_does_not_fit_holds_nobody_up(queue: FairQueue[str]) -> None:
    queue.push("low", priority=LOW)
    for index in range(GUARD + 2):
        queue.push(f"high {index}", priority=HIGH)
    served(queue, GUARD)

    assert queue.take(lambda entry: entry != "low") == "high 8"
    assert served(queue) == ["low", "high 9"]


def test_nothing_fits_takes_nothing(queue: FairQueue[str]) -> None:
    queue.push("a")

    assert queue.take(lambda entry: False) is None
    assert queue.entries() == ["a"]


def test_removed_entry_leaves_from_anywhere_and_gives_its_place_free() -> None:
    queue: FairQueue[str] = FairQueue(3)
    for entry in "abc":
        queue.push(entry)

    queue.remove("b")
    queue.remove("b")
    queue.push("d")

    assert queue.entries() == ["a", "c", "d"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "front", "take", "remove"]),
            st.sampled_from("abc"),
            st.sampled_from([HIGH, NORMAL, LOW]),
        )
    )
)
def test_any_history_loses_nothing_and_keeps_each_callers_order(
    history: list[tuple[str, str, int]],
) -> None:
    queue: FairQueue[int] = FairQueue(20)
    lines: dict[tuple[str, int], deque[int]] = {}
    for entry, (what, caller, priority) in enumerate(history):
        key = ("front", 0) if what == "front" else (caller, priority)
        waiting = lines.setdefault(key, deque())
        if what == "take":
            taken = queue.take(lambda entry: True)
            assert taken is None or any(line and line[0] == taken for line in lines.values())
            for line in lines.values():
                if line and line[0] == taken:
                    line.popleft()
        elif what == "remove" and waiting:
            queue.remove(waiting.pop())
        elif what in ("push", "front") and (what == "front" or len(queue) < 20):
            queue.push(entry, caller=caller, priority=priority, front=what == "front")
            waiting.append(entry)
        assert sorted(queue.entries()) == sorted(e for line in lines.values() for e in line)
        assert len(queue) == len(queue.entries())


def test_a_crowding_caller_makes_room_for_another() -> None:
    queue: FairQueue[str] = FairQueue(3)
    for entry in ("a1", "a2", "a3"):
        queue.push(entry, caller="a")

    assert queue.displace(caller="b") == "a3"
    queue.push("b1", caller="b")
    assert queue.displace(caller="b") is None  # two and one: nobody has far more
    assert queue.displace(caller="a") is None
    assert [queue.take(lambda _: True) for _ in range(3)] == ["a1", "b1", "a2"]


def test_a_lower_class_does_not_displace_a_higher_one() -> None:
    queue: FairQueue[str] = FairQueue(2)
    for entry in ("a1", "a2"):
        queue.push(entry, caller="a", priority=HIGH)

    assert queue.displace(caller="b", priority=LOW) is None
    assert queue.displace(caller="b", priority=HIGH) == "a2"
