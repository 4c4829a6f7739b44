"""What the gateway's parent and its workers tell each other; ``messages.py`` has the lines."""

from __future__ import annotations

import msgspec

from replicore.engines.engine import EngineTraits


class ReplicaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One replica as the gateway sees it.

    Attributes:
        state: A replica state of ``deploy/replica.py``; only ``ready`` is routed to.
        slots: Sequences that the engine works on at once; None where unknown (no limit).
        incarnation: Counts the starts; a change means that what was known of the engine is void.
        drained: Somebody asked that no new requests go there, whatever its state.
    """

    name: str
    endpoint: str
    state: str
    slots: int | None = None
    incarnation: int = 1
    drained: bool = False
    traits: EngineTraits = EngineTraits()


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
        stall_timeout: Silence after which a replica that has requests is taken for hung; 0: never.
        slow_start: Time in which a restarted replica is given its slots one after the other.
        otlp_endpoint: See the spec; so are all others.
    """

    policy: str = "least_work"
    max_queue: int = 1024
    queue_timeout: float = 30.0
    max_body: int = 64 * 1024 * 1024
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    drain_timeout: float = 9.0
    stall_timeout: float = 60.0
    slow_start: float = 5.0
    resume: bool = True
    api_keys_file: str | None = None
    cors_origins: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None
    access_log: str | None = None
    otlp_endpoint: str | None = None


class ReplicaStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one replica since the gateway started, and what is believed of it now.

    Attributes:
        outstanding: Requests there now.
        prefill_tokens: Prompt tokens that it is believed to have still to work through.
        decode_tokens: Output tokens that it is still expected to make.
        prefill_tokens_per_s: The rate that it is reckoned with, learned from its requests.
        decode_tokens_per_s: Likewise, of all slots together.
        breaker: ``closed``, ``open`` or ``half_open``.
        stalled_s: How long it has sent nothing although it has requests; 0 where that is not long.
    """

    outstanding: int
    requests: int
    errors: int
    prefill_tokens: float = 0.0
    decode_tokens: float = 0.0
    prefill_tokens_per_s: float | None = None
    decode_tokens_per_s: float | None = None
    breaker: str = "closed"
    stalled_s: float = 0.0


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
