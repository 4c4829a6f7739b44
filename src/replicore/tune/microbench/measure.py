"""Measure the cores of this machine, in a few seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import log2

from replicore.cores import CoreRange
from replicore.hardware.cpu_sheet import CpuSheet, sheet_key
from replicore.hardware.machine import Machine
from replicore.tune.microbench.child import Multiply, Question, ReadMemory, Reduce
from replicore.tune.microbench.collective import LARGE_BYTES, SMALL_BYTES, shared_bytes
from replicore.tune.microbench.workers import Workers, workers

_SECONDS = 0.25
_REPEATS = {SMALL_BYTES: 400, LARGE_BYTES: 40}

_VECTOR_BYTES = 96 * 2**20
# All processes together take no more than this part of the memory.
_MEMORY_PART = 4

# More ranks than these say nothing new, and take long to agree.
_MOST_RANKS = 16

SOURCE = "measured by the microbenchmark of replicore tune"


def busy_counts(cores: int) -> tuple[int, ...]:
    """Return how many cores to keep busy in turn: 1, 2, 4 ... and all.

    >>> busy_counts(6), busy_counts(1)
    ((1, 2, 4, 6), (1,))
    """
    powers = [1 << power for power in range(cores.bit_length()) if 1 << power < cores]
    return (*powers, cores)


def measure_cpu(
    machine: Machine,
    *,
    seconds: float = _SECONDS,
    watch: Callable[[str], None] = lambda _: None,
) -> CpuSheet:
    """Return what the cores of a machine do; other work on them makes it less.

    Args:
        seconds: For each rate.
        watch: Is told what is measured, in a few words.

    Raises:
        ReplicoreError: A process of it ended.
    """
    cores = list(machine.cores)[: machine.core_limit]
    busy = busy_counts(len(cores))
    vector = min(_VECTOR_BYTES, machine.memory_bytes // (_MEMORY_PART * 2 * len(cores)))
    with workers(cores) as running:
        watch(f"memory bandwidth of {CoreRange.of(cores)}")
        bytes_per_s = tuple(_total(running, ReadMemory(seconds, vector), n) for n in busy)
        watch("arithmetic")
        flops = tuple(_total(running, Multiply(seconds), n) for n in busy)
    watch("all-reduce")
    latency, link = _link(cores[:_MOST_RANKS])
    return CpuSheet(
        key=sheet_key(machine.name),
        name=machine.name,
        cores=len(cores),
        busy=busy,
        bytes_per_s=bytes_per_s,
        flops=flops,
        link_bytes_per_s=link,
        link_latency_s=latency,
        measured_on=datetime.now(UTC).date().isoformat(),
        source=SOURCE,
    )


def _total(running: Workers, question: Question, busy: int) -> float:
    return sum(running.ask([question] * busy))


def _link(cores: Sequence[int]) -> tuple[float, float]:
    """Return seconds for each doubling of the ranks, and bytes per second of each."""
    ranks = len(cores)
    if ranks < 2:
        return _ALONE
    small = _all_reduce(cores, SMALL_BYTES)
    large = _all_reduce(cores, LARGE_BYTES)
    sent = 2 * (ranks - 1) / ranks * (LARGE_BYTES - SMALL_BYTES)
    return small / log2(ranks), sent / max(large - small, 1e-6)


# Never used for anything: a replica of one core has no collectives.
_ALONE = (1e-6, 1e10)


def _all_reduce(cores: Sequence[int], message_bytes: int) -> float:
    """Return the seconds of one, as the slowest rank saw it."""
    ranks = len(cores)
    message = message_bytes // (4 * ranks) * 4 * ranks
    with _shared(shared_bytes(ranks, message)) as fd, workers(cores, fds=[fd]) as running:
        repeats = _REPEATS[message_bytes]
        return max(running.ask([Reduce(fd, n, ranks, message, repeats) for n in range(ranks)]))


@contextmanager
def _shared(size: int) -> Iterator[int]:
    """Yield an open file of zeros that is in memory only."""
    fd = os.memfd_create("replicore-microbench")
    try:
        os.ftruncate(fd, size)
        yield fd
    finally:
        os.close(fd)
