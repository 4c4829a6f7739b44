"""The gateway of a simulated fleet: which replica a request goes to, and who waits. Pure.

Policy and queue are those of the real one. What it knows of prompts is left out: no replica has a
prompt in its cache, so ``prefix_affinity`` goes by outstanding requests here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xxhash import xxh3_64_intdigest

from replicore.gateway.admission import FairQueue, QueueFull
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.load import Requests
from replicore.planner.simulate.model import FleetModel
from replicore.planner.simulate.replica import Replica
from replicore.planner.simulate.speeds import speeds
from replicore.planner.simulate.standings import Standings


class Gateway:
    """Sends requests to replicas.

    Attributes:
        standings: How the replicas stand; to be kept up to date by the caller.
    """

    def __init__(self, fleet: FleetModel, requests: Requests, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._sessions = requests.sessions
        self._callers = requests.callers
        limit = len(requests) if fleet.queue_limit is None else fleet.queue_limit
        self._queue: FairQueue[Job] = FairQueue(limit)
        self.standings = _standings(fleet, requests)

    def seek(self, job: Job, now: float) -> Job | None:
        """Send a request to a replica with room, or let it wait.

        Returns:
            Who has to leave because too many wait; None as a rule.
        """
        if not len(self._queue) and self._place(job, now):
            return None
        caller = self._caller(job)
        try:
            self._queue.push(job, caller=caller)
        except QueueFull:
            crowding = self._queue.displace(caller=caller)
            if crowding is None:
                return job
            self._queue.push(job, caller=caller)
            return crowding
        return None

    def resume(self, job: Job, now: float) -> None:
        """Send a request whose replica failed to another one, before everybody who waits."""
        if len(self._queue) or not self._place(job, now):
            self._queue.push(job, caller=self._caller(job), front=True)

    def freed(self, now: float) -> list[int]:
        """Give free slots to those who wait; return the replicas that got a request."""
        sent = []
        while len(self._queue) and len(self.standings.able()):
            job = self._queue.take(_fits)
            if job is None:
                break
            self._place(job, now)
            sent.append(job.replica)
        return sent

    def _place(self, job: Job, now: float) -> bool:
        able = self.standings.able()
        if not len(able):
            return False
        index = self.standings.choose(able, job.tokens, job.left, self._session(job), now)
        job.replica = index
        if job.sent_s is None:
            job.sent_s = now
        replica = self._replicas[index]
        replica.add(job, now)
        self.standings.opened(index)
        self.standings.note(index, replica)
        return True

    def _session(self, job: Job) -> int:
        session = job.index if self._sessions is None else self._sessions[job.index]
        return xxh3_64_intdigest(b"%d" % session)

    def _caller(self, job: Job) -> str:
        return "" if self._callers is None else self._callers[job.index]


def _standings(fleet: FleetModel, requests: Requests) -> Standings:
    mean_input, mean_output = (
        round(float(np.mean(lengths)))
        for lengths in (requests.input_tokens, requests.output_tokens)
    )
    # Equal replicas are one object, as a rule.
    known = {id(model): speeds(model, mean_input, mean_output) for model in fleet.replicas}
    return Standings(
        fleet.policy,
        [xxh3_64_intdigest(b"r%d" % index) for index in range(len(fleet.replicas))],
        [model.slots if fleet.binding == "late" else None for model in fleet.replicas],
        [known[id(model)] for model in fleet.replicas],
    )


def _fits(job: Job) -> bool:
    return True
