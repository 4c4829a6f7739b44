"""What ``status`` tells, as JSON and inside: one snapshot of a deployment."""

from __future__ import annotations

import msgspec

from replicore.gateway.table import Stats


class UnitStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A replica, or a worker of the gateway, now.

    Attributes:
        state: A state of ``deploy/replica.py``.
        state_s: Seconds that it has been in that state.
        cores: Its core range; empty for a worker of the gateway.
        endpoint: Its base URL; all workers have the same.
        pid: Of the engine or the worker itself; None unless it runs.
        incarnation: Starts so far, those of earlier ``up`` included.
        failures: Ends nobody asked for, since it was last stable.
        retry_s: Seconds from the start of a back-off to its end; None in any other state.
        problem: How the last run ended, if nobody asked it to, and what it printed last.
        health: What the last ``/health`` probe found: ``ok`` or why not; None before the first.
        drained: Somebody asked that it gets no new requests, whatever its state.
    """

    name: str
    state: str
    state_s: float
    cores: str
    endpoint: str
    incarnation: int
    pid: int | None = None
    keeper_pid: int | None = None
    failures: int = 0
    retry_s: float | None = None
    problem: str | None = None
    health: str | None = None
    drained: bool = False


class LayoutStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The layout in use, and why it was chosen."""

    replicas: int
    tp: int
    batch_size: int
    max_model_len: int
    reason: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment now.

    Attributes:
        url: Of the front door, without ``/v1``.
        admin_socket: Path of the Unix socket for ``/metrics`` and ``/admin``.
        admin_url: Of the admin port; None where there is none.
        pid: Of the supervisor.
        uptime_s: Seconds since ``up``.
        ready: Whether the gateway and every replica serve.
        gateways: The gateway's workers: ``gateway``, or ``gateway.0``, ``gateway.1`` and so on.
        stats: The gateway's counters, up to a second old; None before its first report.
    """

    name: str
    url: str
    pid: int
    uptime_s: float
    ready: bool
    model: str
    engine: str
    simulated: bool
    layout: LayoutStatus
    replicas: tuple[UnitStatus, ...]
    gateways: tuple[UnitStatus, ...]
    admin_socket: str = ""
    admin_url: str | None = None
    stats: Stats | None = None

    @property
    def gateway(self) -> UnitStatus:
        """The gateway's only worker, or the first of them."""
        return self.gateways[0]
