"""The microbenchmark: what it measures, with a clock of the test and with small amounts of work."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from replicore.cores import CoreRange
from replicore.errors import ReplicoreError
from replicore.hardware.cpu import CpuHardware
from replicore.tune.microbench import collective
from replicore.tune.microbench.child import Multiply, ReadMemory, Reduce, answer
from replicore.tune.microbench.collective import AllReduce, shared_bytes, typical
from replicore.tune.microbench.measure import busy_counts, measure_cpu
from replicore.tune.microbench.work import Arithmetic, Memory, rate
from replicore.tune.microbench.workers import workers

SMALL = 4096


class Ticks:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now_s = -1.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def test_rate_is_the_work_done_over_the_time_taken() -> None:
    # Looks at 0, 1, 2, 3 s: two pieces of work are done between the first and the last.
    found = rate(Memory(SMALL), 3.0, clock=Ticks())

    assert found == pytest.approx(2 * 2 * SMALL / 3)


def test_work_counts_what_it_reads_and_multiplies() -> None:
    assert Memory(SMALL).amount == 2 * SMALL
    assert Arithmetic(side=8).amount == 2 * 8**3


@contextmanager
def ranks(count: int, message_bytes: int) -> Iterator[list[AllReduce]]:
    with mmap.mmap(-1, shared_bytes(count, message_bytes)) as memory:
        every = [AllReduce(memory, rank, count, message_bytes) for rank in range(count)]
        yield every
        for one in every:
            # The arrays lie in the memory, which cannot be closed while they do.
            vars(one).clear()


def test_all_reduce_gives_every_rank_the_sum() -> None:
    found: dict[int, list[float]] = {}

    def reduce(rank: int, one: AllReduce) -> None:
        numbers = np.full(8, rank + 1.0, dtype=np.float32)
        found[rank] = one(numbers).tolist()

    with ranks(2, 32) as every:
        threads = [threading.Thread(target=reduce, args=pair) for pair in enumerate(every)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {0: [3.0] * 8, 1: [3.0] * 8}


def test_rank_that_is_missing_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collective, "_PATIENCE_S", 0.0)
    with ranks(2, 32) as (first, _), pytest.raises(TimeoutError, match="rank 0 waited"):
        first(np.ones(8, dtype=np.float32))


def test_one_slow_all_reduce_does_not_decide() -> None:
    assert typical([1e-5, 1e-5, 2e-5, 1.0, 1e-5]) == 1e-5


@pytest.mark.parametrize(
    ("cores", "busy"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))]
)
def test_cores_are_kept_busy_by_powers_of_two_and_all(cores: int, busy: tuple[int, ...]) -> None:
    assert busy_counts(cores) == busy


def test_questions_are_answered_with_positive_numbers() -> None:
    fd = os.memfd_create("test")
    try:
        os.ftruncate(fd, shared_bytes(1, 64))
        asked = (
            ReadMemory(seconds=0.001, vector_bytes=SMALL),
            Multiply(seconds=0.001),
            Reduce(fd=fd, rank=0, ranks=1, message_bytes=64, repeats=3),
        )
        assert all(answer(question) > 0 for question in asked)
    finally:
        os.close(fd)


@pytest.mark.slow
def test_machine_is_measured_within_what_memory_and_cores_can_do() -> None:
    said: list[str] = []
    machine = CpuHardware().detect()
    sheet = measure_cpu(machine, seconds=0.0011, watch=said.append)

    assert sheet.cores == machine.core_limit == sheet.busy[-1]
    assert all(1e8 < value < 1e13 for value in sheet.bytes_per_s)
    assert all(1e8 < value < 1e14 for value in sheet.flops)
    assert sheet.link_latency_s > 0
    assert sheet.link_bytes_per_s > 0
    assert len(said) == 3


def test_processes_are_on_the_cores_that_are_asked_for() -> None:
    core = min(os.sched_getaffinity(0))
    with workers(CoreRange.of([core])) as running:
        running.ask([Multiply(seconds=0.001)])
        (process,) = running.processes
        found = os.sched_getaffinity(process.pid)
        code = process.poll()

    assert (found, code) == ({core}, None)
    assert process.wait() != 0


# SAD PATH


def test_process_that_ends_is_an_error_with_the_way_out() -> None:
    core = min(os.sched_getaffinity(0))
    asked = Reduce(fd=9999, rank=0, ranks=1, message_bytes=64, repeats=1)

    with (
        workers([core]) as running,
        pytest.raises(ReplicoreError, match="ended with code 1") as caught,
    ):
        running.ask([asked])
    assert "--no-microbench" in (caught.value.hint or "")
