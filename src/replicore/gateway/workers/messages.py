"""What the parent of the gateway's workers and a worker tell each other.

One JSON object a line, over a Unix socket. A worker begins with :class:`Hello`; the first line back
is :class:`Welcome`, every later one :class:`ToWorker`. The worker sends :class:`FromWorker`: its
counters once a second and after every table, and an answer to every question.
"""

from __future__ import annotations

import msgspec

from replicore.gateway.observe.snapshot import Snapshot
from replicore.gateway.record import Explanation
from replicore.gateway.table import ReplicaTable, Settings, Stats

# A table is some hundred bytes for each replica, a snapshot some kilobytes.
LONGEST_LINE = 4 * 2**20


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's first line."""

    worker: int


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The parent's first line to a worker."""

    settings: Settings
    table: ReplicaTable


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something to be answered.

    Attributes:
        id: Of the question, for the answer.
        explain: The request whose choices are asked for; None asks for the metrics.
    """

    id: int
    explain: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a question; both are None where the worker knows nothing."""

    id: int
    snapshot: Snapshot | None = None
    explanation: Explanation | None = None


class ToWorker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A changed table, or a question."""

    table: ReplicaTable | None = None
    question: Question | None = None


class FromWorker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Counters, an answer, or a snapshot that nobody asked for: the last one before the end."""

    stats: Stats | None = None
    answer: Answer | None = None
    snapshot: Snapshot | None = None


def encode(message: msgspec.Struct) -> bytes:
    """Return the message's line."""
    return msgspec.json.encode(message) + b"\n"
