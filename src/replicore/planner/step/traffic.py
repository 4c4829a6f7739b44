"""What one replica is asked: lengths, and how many requests at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicore.planner.step.replica import Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The load of one replica.

    Attributes:
        input_tokens: Mean of the prompts.
        output_tokens: Mean of the outputs, at least 1.
        concurrency: Requests that the replica has at a time, waiting ones counted.
    """

    input_tokens: float
    output_tokens: float
    concurrency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A replica under a load: what is predicted, and what measurements are of."""

    replica: Replica
    traffic: Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A case that was measured.

    Attributes:
        ttft_s: Mean or median time to first token; None where it was not measured.
        tpot_s: Mean or median time per output token after the first; None likewise.
        source: Where the numbers are from, for people.
    """

    case: Case
    ttft_s: float | None = None
    tpot_s: float | None = None
    source: str = ""


def newest(seen: Iterable[Observation]) -> tuple[Observation, ...]:
    """Return one observation of each case, the last."""
    return tuple({one.case: one for one in seen}.values())
