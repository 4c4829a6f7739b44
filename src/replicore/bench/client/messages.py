"""What a run's process and its workers tell each other.

Pickled, each with its length before it, over a socket pair: both ends are this program, in the same
version. A worker is told the :class:`Setup`, then :class:`Sessions`, :class:`Start`, more sessions,
perhaps :data:`STOP`. It answers with :data:`READY`, then a :class:`Kept` for each request and a
:class:`Report` ten times a second, at last with its :class:`~.process.Outcome`.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from replicore.bench.client.plan import Plan
from replicore.bench.client.tick import Tick
from replicore.bench.load.jobs import Session
from replicore.bench.record import RequestRecord

READY = "ready"
STOP = "stop"

_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Setup:
    """The worker's share of the plan."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions, each with its position in the run; ``last`` says that no more will come."""

    sessions: tuple[tuple[int, Session], ...]
    last: bool


@dataclass(frozen=True, slots=True)
class Start:
    """The run begins; ``zero`` is its start on the clock that all processes share."""

    zero: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that is over."""

    record: RequestRecord
    warmup: bool


@dataclass(frozen=True, slots=True)
class Report:
    """How far the worker is; ``taken`` counts the sessions it has begun."""

    tick: Tick
    taken: int


def send(writer: asyncio.StreamWriter, message: object) -> None:
    """Write a message; nothing happens where the other end is gone."""
    if not writer.is_closing():
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        writer.write(_LENGTH.pack(len(data)))
        writer.write(data)


async def receive(reader: asyncio.StreamReader) -> Any:
    """Return the next message; None where the other end is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
