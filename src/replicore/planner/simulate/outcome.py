"""What became of every request, and of every replica. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import FleetModel
from replicore.planner.simulate.replica import Replica

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Arrays ``(requests,)`` in the order of arrival, and ``(replicas,)``; times in seconds.

    A time that did not come is not a number: of requests that the full queue refused, and of those
    for which no replica ever came back.

    Attributes:
        sent_s: When the request left the gateway for a replica first.
        started_s: When a replica gave it a slot first.
        replica: Where it ended; 0 where it was never sent.
        retries: How often its replica failed under it.
        busy_s: How long each replica worked.
        replica_tokens: Output tokens of each replica.
        in_flight_s: Integral of the requests between arrival and end, as the run counted them.
    """

    arrival_s: Floats
    sent_s: Floats
    started_s: Floats
    first_s: Floats
    end_s: Floats
    replica: Ints
    input_tokens: Ints
    output_tokens: Ints
    retries: Ints
    slots: Ints
    busy_s: Floats
    replica_tokens: Ints
    preemptions: Ints
    in_flight_s: float

    @property
    def is_served(self) -> npt.NDArray[np.bool_]:
        """Whether each request got all of its tokens."""
        return ~np.isnan(self.end_s)


def outcome(
    fleet: FleetModel, jobs: Sequence[Job], replicas: Sequence[Replica], in_flight_s: float
) -> Outcome:
    """Return the outcome of a run."""
    return Outcome(
        arrival_s=_times([job.arrival_s for job in jobs]),
        sent_s=_times([job.sent_s for job in jobs]),
        started_s=_times([job.started_s for job in jobs]),
        first_s=_times([job.first_s for job in jobs]),
        end_s=_times([job.end_s for job in jobs]),
        replica=np.array([job.replica for job in jobs]),
        input_tokens=np.array([job.input_tokens for job in jobs]),
        output_tokens=np.array([job.output_tokens for job in jobs]),
        retries=np.array([job.retries for job in jobs]),
        slots=np.array([model.slots for model in fleet.replicas]),
        busy_s=np.array([replica.busy_s for replica in replicas]),
        replica_tokens=np.array([replica.tokens_out for replica in replicas]),
        preemptions=np.array([replica.preemptions for replica in replicas]),
        in_flight_s=in_flight_s,
    )


def _times(column: Sequence[float | None]) -> Floats:
    return np.array(column, dtype=np.float64)  # None is not a number
