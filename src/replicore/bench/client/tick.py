"""How far a run is, for people who watch it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaTick:
    """What one replica has done so far.

    Attributes:
        name: As in the record; the endpoint's ``host:port`` for requests without an answer yet.
    """

    name: str
    done: int = 0
    in_flight: int = 0
    errors: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How far a run is; told at its start, four times a second, and at its end.

    Attributes:
        done: Measured requests that are over, failed ones included.
        total: Measured requests there will be; None in a run by time.
        warming: Requests of the warm-up that are not over yet.
        in_flight: Requests on their way, those of the warm-up included.
        output_tokens: Of the measured requests, as many as are known: counted by reads until a
            request is over.
        recent_ttft_s: Times to first token of the answers read since the last tick.
    """

    done: int
    total: int | None
    warming: int
    in_flight: int = 0
    errors: int
    output_tokens: int
    elapsed_s: float
    recent_ttft_s: tuple[float, ...] = ()
    replicas: tuple[ReplicaTick, ...] = ()


# Called in the event loop that measures: what it takes longer than a millisecond, requests wait.
Progress = Callable[[Tick], None]


def merge_ticks(
    ticks: Sequence[Tick], *, total: int | None, warming: int, elapsed_s: float
) -> Tick:
    """Return the tick of a run from those of its processes."""
    return Tick(
        done=sum(tick.done for tick in ticks),
        total=total,
        warming=warming,
        in_flight=sum(tick.in_flight for tick in ticks),
        errors=sum(tick.errors for tick in ticks),
        output_tokens=sum(tick.output_tokens for tick in ticks),
        elapsed_s=elapsed_s,
        recent_ttft_s=tuple(ttft for tick in ticks for ttft in tick.recent_ttft_s),
        replicas=_merge_replicas([replica for tick in ticks for replica in tick.replicas]),
    )


def _merge_replicas(replicas: Sequence[ReplicaTick]) -> tuple[ReplicaTick, ...]:
    by_name: dict[str, list[ReplicaTick]] = {}
    for replica in replicas:
        by_name.setdefault(replica.name, []).append(replica)
    return tuple(
        ReplicaTick(
            name=name,
            done=sum(one.done for one in same),
            in_flight=sum(one.in_flight for one in same),
            errors=sum(one.errors for one in same),
            output_tokens=sum(one.output_tokens for one in same),
        )
        for name, same in sorted(by_name.items())
    )
