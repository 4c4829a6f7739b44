from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from replicore.gateway.routing.cells import Cells

CHILD = """
import sys
from replicore.gateway.routing.cells import Cells
cells = Cells.attach(int(sys.argv[1]), 1)
cells.replica(3).add(0, 2.0)
cells.waiting = 5
"""


@pytest.fixture
def workers() -> Iterator[list[Cells]]:
    """Return the cells of two workers over the same memory."""
    parent = Cells.create(2, replicas=4, callers=3)
    assert parent.fd is not None
    both = [Cells.attach(os.dup(parent.fd), worker) for worker in range(2)]
    yield both
    for cells in (parent, *both):
        cells.close()


def indexes(cells: Cells) -> list[int]:
    replicas = [cells.replica(index).at + field for index in range(4) for field in range(3)]
    callers = [cells.caller(index).at + field for index in range(3) for field in range(5)]
    return [*replicas, *callers]


def test_no_two_numbers_share_a_cell(workers: list[Cells]) -> None:
    used = indexes(workers[0]) + indexes(workers[1])

    assert len(set(used)) == len(used) == 2 * (4 * 3 + 3 * 5)


def test_no_two_workers_share_a_cache_line(workers: list[Cells]) -> None:
    first, second = (min(indexes(cells)) // 8 for cells in workers)

    assert max(indexes(workers[0])) // 8 < second
    assert first > 0


def test_worker_alone_has_the_same_numbers() -> None:
    cells = Cells.local(replicas=4, callers=3)

    assert len(set(indexes(cells))) == 4 * 3 + 3 * 5
    assert cells.replica(0).others == ()


def test_total_is_the_sum_over_all_workers(workers: list[Cells]) -> None:
    workers[0].replica(2).add(1, 10.0)
    workers[1].replica(2).add(1, 32.0)

    assert [cells.replica(2).total(1) for cells in workers] == [42.0, 42.0]
    assert [cells.replica(2).get(1) for cells in workers] == [10.0, 32.0]


def test_each_begins_with_the_workers_own(workers: list[Cells]) -> None:
    workers[0].caller(1).set(4, 1.0)
    workers[1].caller(1).set(4, 2.0)

    assert [cells.caller(1).each(4) for cells in workers] == [[1.0, 2.0], [2.0, 1.0]]


def test_worker_sees_who_else_has_requests_waiting(workers: list[Cells]) -> None:
    workers[0].waiting = 3

    assert [cells.others_waiting() for cells in workers] == [[], [0]]
    assert [cells.waiting for cells in workers] == [3.0, 0.0]


def test_worker_alone_has_no_others_waiting() -> None:
    cells = Cells.local()
    cells.waiting = 3

    assert cells.others_waiting() == []


def test_clearing_a_worker_leaves_the_others(workers: list[Cells]) -> None:
    for cells in workers:
        cells.waiting = 1
        cells.replica(3).add(0, 1.0)
        cells.caller(2).add(0, 1.0)

    workers[0].clear(1)

    assert workers[0].replica(3).each() == [1.0, 0.0]
    assert workers[0].caller(2).each() == [1.0, 0.0]
    assert [cells.waiting for cells in workers] == [1.0, 0.0]


def test_another_process_shares_the_cells() -> None:
    parent = Cells.create(2)
    assert parent.fd is not None
    argv = [sys.executable, "-c", CHILD, str(parent.fd)]
    subprocess.run(argv, pass_fds=[parent.fd], check=True)

    assert parent.replica(3).each() == [0.0, 2.0]
    assert parent.others_waiting() == [1]
    parent.close()


@pytest.mark.parametrize("index", [-1, 4])
def test_replica_beyond_the_room_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"replica {index} has no shared cells: there is room for"):
        Cells.local(replicas=4).replica(index)


def test_worker_beyond_the_room_is_refused() -> None:
    parent = Cells.create(2)
    assert parent.fd is not None

    with pytest.raises(ValueError, match="not for worker 2"):
        Cells.attach(parent.fd, 2)
    parent.close()


def test_closing_twice_is_closing_once() -> None:
    cells = Cells.create(1)
    fd = cells.fd
    assert fd is not None
    cells.close()
    cells.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
