"""How many requests a run will have, as far as that is known beforehand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicore.bench.load.jobs import Session


@dataclass(frozen=True, slots=True)
class Census:
    """Numbers of requests; None where nobody knows.

    Attributes:
        total: Measured ones.
        warmup: Those before.
        sessions: Of both.
    """

    total: int | None = None
    warmup: int | None = None
    sessions: int | None = None


def take_census(sessions: Iterable[Session], *, by_time: bool = False) -> Census:
    """Count what a sequence holds; of anything else, nothing is known before it is sent.

    Args:
        by_time: The run ends at a time, so that not all may be sent.
    """
    if not isinstance(sessions, Sequence):
        return Census()
    warmup = sum(len(session.jobs) for session in sessions if session.warmup)
    measured = sum(len(session.jobs) for session in sessions if not session.warmup)
    return Census(None if by_time else measured, warmup, len(sessions))
