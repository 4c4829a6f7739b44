"""An all-reduce between processes through shared memory, as engines do it on one machine.

Each rank writes its numbers, waits for the others, sums its part of all, waits again, and reads
the whole sum: two barriers, and the bytes of a ring's all-reduce.
"""

from __future__ import annotations

import mmap
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray

_FLOAT_BYTES = 4
# A counter has a cache line to itself: a rank that waits must not slow the one that writes.
_LINE_BYTES = 64
_LINE_ITEMS = _LINE_BYTES // 8

SMALL_BYTES = 2 * 2**10
LARGE_BYTES = 4 * 2**20

# A rank that died would be waited for without end.
_PATIENCE_S = 5.0


def shared_bytes(ranks: int, message_bytes: int) -> int:
    """Return the size of the memory that ``ranks`` share."""
    return ranks * _LINE_BYTES + (ranks + 1) * message_bytes


class AllReduce:
    """One rank.

    Args:
        memory: Of :func:`shared_bytes`, zeros, the same for all ranks.
        message_bytes: A multiple of four times the number of ranks.
    """

    def __init__(self, memory: mmap.mmap, rank: int, ranks: int, message_bytes: int) -> None:
        counters = np.frombuffer(memory, dtype=np.int64, count=ranks * _LINE_ITEMS)
        self._counters = counters.reshape(ranks, _LINE_ITEMS)[:, 0]
        items = message_bytes // _FLOAT_BYTES
        start = ranks * _LINE_BYTES
        numbers = np.frombuffer(memory, np.float32, count=(ranks + 1) * items, offset=start)
        self._slots = numbers.reshape(ranks + 1, items)
        self._rank, self._turn = rank, 0
        part = items // ranks
        self._own = slice(rank * part, (rank + 1) * part)
        self._received = np.empty(items, dtype=np.float32)

    def __call__(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sum over all ranks; valid until the next call.

        Raises:
            TimeoutError: A rank is missing.
        """
        self._slots[self._rank] = numbers
        self._barrier()
        np.sum(self._slots[:-1, self._own], axis=0, out=self._slots[-1, self._own])
        self._barrier()
        np.copyto(self._received, self._slots[-1])
        return self._received

    def _barrier(self) -> None:
        self._turn += 1
        self._counters[self._rank] = self._turn
        deadline = time.monotonic() + _PATIENCE_S
        while self._counters.min() < self._turn:
            if time.monotonic() > deadline:
                raise TimeoutError(f"rank {self._rank} waited {_PATIENCE_S:g} s for the others")

    def times(self, repeats: int) -> list[float]:
        """Return the seconds of each of ``repeats`` calls, the first of all left out."""
        numbers = np.ones(self._received.size, dtype=np.float32)
        self(numbers)
        found = []
        for _ in range(repeats):
            started = time.perf_counter()
            self(numbers)
            found.append(time.perf_counter() - started)
        return found


def typical(times: list[float]) -> float:
    """Return the median: a rank that lost its core for a while does not decide."""
    return median(times)
