"""What one process of the microbenchmark does, over and over for a while.

Decoding reads weights once for each step, which a dot product of two long vectors does: two reads
for two operations. A matrix product is what prefill does.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_FLOAT_BYTES = 4

# Larger than a core's share of any cache; two of them are read.
_VECTOR_BYTES = 96 * 2**20
# Small enough for the second-level cache, large enough for a full pipeline.
_MATRIX_SIDE = 512


class Memory:
    """Reads ``vector_bytes`` twice over; the pages are of the node that this process runs on."""

    def __init__(self, vector_bytes: int = _VECTOR_BYTES) -> None:
        items = vector_bytes // _FLOAT_BYTES
        self._a = np.ones(items, dtype=np.float32)
        self._b = np.ones(items, dtype=np.float32)
        self.amount = 2.0 * items * _FLOAT_BYTES

    def __call__(self) -> None:
        np.dot(self._a, self._b)


class Arithmetic:
    """Multiplies two matrices of 32-bit numbers."""

    def __init__(self, side: int = _MATRIX_SIDE) -> None:
        self._a = np.ones((side, side), dtype=np.float32)
        self._product = np.empty_like(self._a)
        self.amount = 2.0 * side**3

    def __call__(self) -> None:
        np.matmul(self._a, self._a, out=self._product)


def rate(
    work: Memory | Arithmetic,
    seconds: float,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return how much of the work is done a second, going on for at least ``seconds``."""
    work()  # the first time maps pages and starts threads
    done, started = 0, clock()
    while (taken := clock() - started) < seconds:
        work()
        done += 1
    return done * work.amount / taken
