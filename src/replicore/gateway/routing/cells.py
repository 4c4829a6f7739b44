"""Numbers that all workers of one gateway share: who has how much in flight.

Every cell is a float64 that one worker writes and all read, so nothing is locked and no update is
lost; a total is the sum of one cell per worker. A cell is eight aligned bytes, which a processor
with 64 bits reads and writes at once. One worker alone keeps its cells in a list, which is faster.

The memory is a header and one block per worker::

    version, workers, replicas, callers, 0, 0, 0, 0 | block of worker 0 | block of worker 1 | ...

    block: waiting, replicas * (outstanding, prefill tokens, decode tokens), callers * 5, padding

Blocks are whole cache lines: no worker slows another one down by writing.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Memory = list[float] | memoryview[float]

OUTSTANDING, PREFILL_TOKENS, DECODE_TOKENS = range(3)

_REPLICA_FIELDS = 3
_CALLER_FIELDS = 5

_VERSION = 1.0
_CELL_BYTES = 8
_LINE = 64 // _CELL_BYTES
_HEADER = _LINE
_WAITING = 0


def barrier() -> None:
    """Order this worker's writes before its later reads, as other workers see them.

    Taking and releasing a lock is a full barrier on x86. On a processor where it is not, two
    workers may once in a long while take the same last slot, and a request waits in the engine.
    """
    with _LOCK:
        pass


_LOCK = threading.Lock()


class Place:
    """The cells of one replica or one caller: the same fields in every worker's block.

    Attributes:
        memory: All cells, indexed from 0.
        at: Where this worker's own first field is; the others follow it.
        others: Where the first field is in the block of each other worker.
    """

    __slots__ = ("at", "memory", "others")

    def __init__(self, memory: Memory, at: int, others: tuple[int, ...]) -> None:
        self.memory = memory
        self.at = at
        self.others = others

    def get(self, field: int = 0) -> float:
        """Return this worker's own number."""
        return self.memory[self.at + field]

    def set(self, field: int, value: float) -> None:
        self.memory[self.at + field] = value

    def add(self, field: int, value: float) -> None:
        self.memory[self.at + field] += value

    def total(self, field: int = 0) -> float:
        """Return the sum over all workers."""
        memory = self.memory
        total = memory[self.at + field]
        for other in self.others:
            total += memory[other + field]
        return total

    def each(self, field: int = 0) -> list[float]:
        """Return the number of every worker, this one's first."""
        return [self.memory[first + field] for first in (self.at, *self.others)]


class Cells:
    """The shared numbers, as one worker sees them.

    Attributes:
        worker: Whose cells are written.
        replicas: How many replicas there is room for; so are ``callers``.
        barrier: See :func:`barrier`; tests put a switch to another worker in its place.
    """

    __slots__ = (
        "_block",
        "_map",
        "barrier",
        "callers",
        "fd",
        "memory",
        "replicas",
        "worker",
        "workers",
    )

    def __init__(
        self,
        memory: Memory,
        *,
        worker: int,
        workers: int,
        replicas: int,
        callers: int,
        fd: int | None = None,
        mapped: mmap.mmap | None = None,
    ) -> None:
        self.memory = memory
        self.worker = worker
        self.workers = workers
        self.replicas = replicas
        self.callers = callers
        self.fd = fd
        self.barrier: Callable[[], None] = barrier
        self._map = mapped
        self._block = _block_cells(replicas, callers)

    @classmethod
    def local(cls, replicas: int = 1024, callers: int = 256) -> Cells:
        """Return the cells of the only worker."""
        memory = [0.0] * (_HEADER + _block_cells(replicas, callers))
        return cls(memory, worker=0, workers=1, replicas=replicas, callers=callers)

    @classmethod
    def create(cls, workers: int, replicas: int = 1024, callers: int = 256) -> Cells:
        """Return new shared memory, for the parent of the workers: it reads and clears.

        A worker that inherits ``fd`` attaches to it.
        """
        cells = _HEADER + workers * _block_cells(replicas, callers)
        fd = os.memfd_create("replicore-cells")
        os.ftruncate(fd, cells * _CELL_BYTES)
        mapped = mmap.mmap(fd, 0)
        memory = memoryview(mapped).cast("d")
        header = (_VERSION, float(workers), float(replicas), float(callers))
        for index, value in enumerate(header):
            memory[index] = value
        return cls._mapped(fd, mapped, memory, worker=0)

    @classmethod
    def attach(cls, fd: int, worker: int) -> Cells:
        """Return the cells of ``worker`` in memory made by :meth:`create`; takes ``fd`` over.

        Raises:
            ValueError: The memory was made by another version, or has no such worker.
        """
        mapped = mmap.mmap(fd, 0)
        memory = memoryview(mapped).cast("d")
        if memory[0] != _VERSION or worker >= memory[1]:
            memory.release()
            mapped.close()
            raise ValueError(
                f"the shared cells are not of this version, or not for worker {worker}"
            )
        return cls._mapped(fd, mapped, memory, worker=worker)

    @classmethod
    def _mapped(
        cls, fd: int, mapped: mmap.mmap, memory: memoryview[float], *, worker: int
    ) -> Cells:
        _, workers, replicas, callers = (int(value) for value in memory[:4])
        return cls(
            memory,
            worker=worker,
            workers=workers,
            replicas=replicas,
            callers=callers,
            fd=fd,
            mapped=mapped,
        )

    @property
    def waiting(self) -> float:
        """Requests in this worker's queue."""
        return self.memory[self._start(self.worker) + _WAITING]

    @waiting.setter
    def waiting(self, count: float) -> None:
        self.memory[self._start(self.worker) + _WAITING] = count

    def others_waiting(self) -> list[int]:
        """Return which other workers have requests in their queue."""
        if self.workers == 1:
            return []
        memory, start = self.memory, self._start
        return [index for index in self._others() if memory[start(index) + _WAITING]]

    def replica(self, index: int) -> Place:
        """Return the cells of a replica by its place in the table.

        Raises:
            ValueError: There is no room for so many.
        """
        _check("replica", index, self.replicas)
        return self._place(1 + index * _REPLICA_FIELDS)

    def caller(self, index: int) -> Place:
        """Return the five cells of a caller; what they mean is up to ``limits.py``.

        Raises:
            ValueError: There is no room for so many.
        """
        _check("caller", index, self.callers)
        return self._place(1 + self.replicas * _REPLICA_FIELDS + index * _CALLER_FIELDS)

    def clear(self, worker: int) -> None:
        """Zero the cells of a worker that is dead."""
        start = self._start(worker)
        for index in range(start, start + self._block):
            self.memory[index] = 0.0

    def close(self) -> None:
        """Let go of shared memory; the cells must not be used any more."""
        if self._map is not None and self.fd is not None:
            if isinstance(self.memory, memoryview):
                self.memory.release()
            self._map.close()
            os.close(self.fd)
            self._map = self.fd = None

    def _place(self, offset: int) -> Place:
        others = tuple(self._start(index) + offset for index in self._others())
        return Place(self.memory, self._start(self.worker) + offset, others)

    def _others(self) -> list[int]:
        return [index for index in range(self.workers) if index != self.worker]

    def _start(self, worker: int) -> int:
        return _HEADER + worker * self._block


def _block_cells(replicas: int, callers: int) -> int:
    used = 1 + replicas * _REPLICA_FIELDS + callers * _CALLER_FIELDS
    return -(-used // _LINE) * _LINE


def _check(kind: str, index: int, room: int) -> None:
    if not 0 <= index < room:
        raise ValueError(f"{kind} {index} has no shared cells: there is room for {room}")
