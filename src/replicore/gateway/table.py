"""What the supervisor and the gateway tell each other over the control socket.

One JSON object a line. The gateway sends ``{"op": "watch"}``; the first line back is a
:class:`Welcome`, every later one an :class:`Update`. The gateway sends a :class:`Report` a second,
and after every update.
"""

from __future__ import annotations

import msgspec


class ReplicaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One replica as the gateway sees it.

    Attributes:
        state: A replica state of ``deploy/replica.py``; only ``ready`` is routed to.
        slots: Sequences that the engine works on at once; None where unknown (no limit).
        incarnation: Counts the starts; a change means that what was known of the engine is void.
        prompt_progress: See ``EngineTraits.prompt_progress``.
    """

    name: str
    endpoint: str
    state: str
    slots: int | None = None
    incarnation: int = 1
    prompt_progress: bool = False


class ReplicaTable(msgspec.Struct, frozen=True, kw_only=True):
    """All replicas of one deployment, in order of their index.

    Attributes:
        revision: Counts the tables of one deployment.
    """

    model: str
    max_model_len: int | None = None
    simulated: bool = False
    revision: int = 0
    replicas: tuple[ReplicaRow, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway needs of the spec; times in seconds, sizes in bytes.

    Attributes:
        drain_timeout: How long requests that are being served may go on when it is stopped.
    """

    policy: str = "least_outstanding"
    max_queue: int = 1024
    queue_timeout: float = 30.0
    max_body: int = 64 * 1024 * 1024
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    drain_timeout: float = 9.0


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's first line to a gateway."""

    settings: Settings
    table: ReplicaTable


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's line at every change of the table."""

    table: ReplicaTable


class ReplicaStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one replica since the gateway started; ``outstanding`` is now."""

    outstanding: int
    requests: int
    errors: int


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of the gateway since it started; ``outstanding`` and ``queued`` are now.

    Attributes:
        revision: Of the table that the gateway goes by.
    """

    outstanding: int
    queued: int
    requests: int
    errors: int
    revision: int = 0
    replicas: dict[str, ReplicaStats]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's line to the supervisor, once a second."""

    stats: Stats
