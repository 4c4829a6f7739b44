from __future__ import annotations

import pytest

from replicore.gateway.admission import Queue, QueueFull


def test_entries_come_out_in_the_order_they_came() -> None:
    queue: Queue[str] = Queue(3)
    for entry in "abc":
        queue.push(entry)

    assert queue.entries() == ["a", "b", "c"]


def test_a_full_queue_refuses() -> None:
    queue: Queue[str] = Queue(1)
    queue.push("a")

    with pytest.raises(QueueFull):
        queue.push("b")


def test_an_entry_leaves_from_the_middle() -> None:
    queue: Queue[str] = Queue(3)
    for entry in "abc":
        queue.push(entry)

    queue.remove("b")
    queue.remove("not there")

    assert queue.entries() == ["a", "c"]
