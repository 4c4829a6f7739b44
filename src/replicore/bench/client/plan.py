"""How sessions are sent: what all processes of the client have to know. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

from replicore.bench.record import ClientSecond
from replicore.errors import ConfigError

DISPATCHES = ("round_robin", "least_in_flight", "sticky")


class Meter(Protocol):
    """Watches the process that it is in."""

    def start(self) -> None: ...

    def stop(self) -> list[ClientSecond]: ...


# Makes the meter of a process from its number and the start of the run.
MakeMeter = Callable[[int, float], Meter]


class Sending(TypedDict, total=False):
    """What may be said of how requests are sent; see :class:`Plan`."""

    dispatch: str
    timeout: float
    duration_s: float | None
    drain_s: float | None
    headers: Sequence[tuple[bytes, bytes]]
    keep_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How sessions are sent.

    Attributes:
        path: Route that every request is posted to.
        concurrency: The most sessions in flight; None for any number.
        connections: To each endpoint, open before the clock starts.
        dispatch: Which endpoint a request goes to; see :class:`~.targets.Targets`.
        timeout: Seconds that one request may take.
        duration_s: How long requests are sent, from the first measured one; None for no end. What
            has a time of its own is sent even if it is late.
        drain_s: How long after that a request may still take; then it is unfinished. None gives it
            all of ``timeout``.
        headers: Of each request, besides those of its framing.
        keep_text: Whether records keep the answers' content.
        worker: Number of this process, 0-based.

    Raises:
        ConfigError: A number out of range, an unknown policy, or nothing to measure.
    """

    endpoints: tuple[str, ...]
    path: str
    concurrency: int | None
    connections: int = 0
    dispatch: str = "least_in_flight"
    timeout: float = 600.0
    duration_s: float | None = None
    drain_s: float | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    keep_text: bool = False
    meter: MakeMeter | None = None
    worker: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ConfigError("no URL to measure")
        if self.dispatch not in DISPATCHES:
            valid = ", ".join(DISPATCHES)
            raise ConfigError(f'dispatch: unknown policy "{self.dispatch}" (valid: {valid})')
        if self.concurrency is not None and self.concurrency < 1:
            raise ConfigError(f"concurrency: {self.concurrency} is below 1")
        if self.processes < 1:
            raise ConfigError(f"processes: {self.processes} is below 1")
        if not self.timeout > 0:
            raise ConfigError(f"timeout: {self.timeout:g} s is not above 0")
        if self.duration_s is not None and not self.duration_s > 0:
            raise ConfigError(f"duration: {self.duration_s:g} s is not above 0")
        if self.drain_s is not None and not self.drain_s >= 0:
            raise ConfigError(f"drain: {self.drain_s:g} s is below 0")

    def share(self, worker: int) -> Plan:
        """Return the plan of one of its processes: a part of the places and connections.

        >>> plan = Plan(endpoints=("http://a:1",), path="/", concurrency=5, processes=2)
        >>> plan.share(0).concurrency, plan.share(1).concurrency
        (3, 2)
        """
        cap = self.concurrency
        return replace(
            self,
            concurrency=None if cap is None else _part(cap, worker, self.processes),
            connections=-(-self.connections // self.processes),
            worker=worker,
        )


def _part(whole: int, part: int, parts: int) -> int:
    return whole // parts + (part < whole % parts)
