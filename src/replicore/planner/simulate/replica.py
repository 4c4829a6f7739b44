"""The replica of a model."""

from __future__ import annotations

from typing import Protocol

from replicore.planner.simulate.continuous import Continuous
from replicore.planner.simulate.independent import Independent
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import ReplicaModel
from replicore.planner.simulate.static import Static
from replicore.planner.simulate.stretch import Stretch


class Replica(Protocol):
    """What a fleet needs of a replica, however it batches; ``stepped.Stepped`` explains it."""

    model: ReplicaModel
    busy_s: float
    preemptions: int
    tokens_out: int
    prompt_tokens: int
    left_tokens: int
    stretch: Stretch | None

    @property
    def next_at(self) -> float: ...

    @property
    def decoding(self) -> int: ...

    def add(self, job: Job, now: float) -> None: ...

    def advance(self) -> list[Job]: ...

    def drain(self, now: float) -> list[Job]: ...


def create(model: ReplicaModel) -> Replica:
    """Return an idle replica."""
    match model.batching:
        case "continuous":
            return Continuous(model)
        case "static":
            return Static(model)
        case "independent":
            return Independent(model)
