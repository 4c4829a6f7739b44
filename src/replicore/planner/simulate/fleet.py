"""A fleet of replicas behind one gateway, from event to event. Pure.

Four things happen: the steps of a replica end, a replica fails, it comes back, a request comes; at
one time in that order. So whoever comes when a step ends has missed the next one's beginning, and
so has a request of the gateway's queue whose slot became free by that very end, as in real life.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from math import inf, isinf

import numpy as np

from replicore.errors import ConfigError
from replicore.planner.simulate.arrivals import Arrival, Arrivals
from replicore.planner.simulate.failures import outages_of
from replicore.planner.simulate.gateway import Gateway
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.load import Load, Requests
from replicore.planner.simulate.model import FleetModel, Outage
from replicore.planner.simulate.outcome import Outcome, outcome
from replicore.planner.simulate.replica import create

# What happens, in the order in which it does at one time.
_STEPS, _DOWN, _UP, _ARRIVAL = range(4)

# When, what, a number that keeps the order, and of which replica or request; an outage has more.
_Event = tuple[float, int, int, int, Outage | None]


def simulate(fleet: FleetModel, load: Load, requests: Requests, *, seed: int = 0) -> Outcome:
    """Return what becomes of the requests.

    Args:
        seed: Of failures at random; nothing else is random here.

    Raises:
        ConfigError: A request is longer than a replica's ``max_model_len``, or there are more
            requests than arrivals.
    """
    _check_lengths(fleet, requests)
    run = _Run(fleet, load, requests, seed)
    run.play()
    return outcome(fleet, run.jobs, run.replicas, run.in_flight_s)


def _check_lengths(fleet: FleetModel, requests: Requests) -> None:
    lengths = requests.input_tokens + requests.output_tokens
    longest = int(np.argmax(lengths))
    for model in fleet.replicas:
        most = model.max_model_len
        if most is not None and lengths[longest] > most:
            raise ConfigError(
                f"request {longest}: {requests.input_tokens[longest]} tokens of input and"
                f" {requests.output_tokens[longest]} of output are more than the"
                f" max_model_len {most}"
            )


class _Run:
    """One run.

    Attributes:
        in_flight_s: Integral over time of the requests between arrival and end.
    """

    def __init__(self, fleet: FleetModel, load: Load, requests: Requests, seed: int) -> None:
        inputs, outputs = requests.input_tokens.tolist(), requests.output_tokens.tolist()
        self.jobs = [Job(*row) for row in zip(range(len(requests)), inputs, outputs, strict=True)]
        self.replicas = [create(model) for model in fleet.replicas]
        self.in_flight_s = 0.0
        self._in_flight = 0
        self._counted_at = 0.0
        self._unfinished = len(requests)
        self._arrivals = Arrivals(load, len(requests))
        self._gateway = Gateway(fleet, requests, self.replicas)
        self._outages = [outages_of(fleet, index, seed) for index in range(len(fleet.replicas))]
        self._failed = [0] * len(fleet.replicas)
        # The next end of steps that is planned of each replica.
        self._planned = [inf] * len(fleet.replicas)
        self._events: list[_Event] = []
        self._order = 0

    def play(self) -> None:
        """Go on until every request has ended, or nothing can happen any more."""
        for index in range(len(self.replicas)):
            self._plan_outage(index)
        self._plan_arrivals(self._arrivals.first())
        while self._unfinished and self._events:
            at, kind, _, index, outage = heappop(self._events)
            if kind == _STEPS:
                self._end_steps(index, at)
            elif kind == _ARRIVAL:
                self._arrive(self.jobs[index], at)
            elif outage is not None:
                self._fail(outage) if kind == _DOWN else self._recover(index, at)

    def _push(self, at: float, kind: int, index: int, outage: Outage | None = None) -> None:
        self._order += 1
        heappush(self._events, (at, kind, self._order, index, outage))

    # requests

    def _plan_arrivals(self, arrivals: Iterable[Arrival]) -> None:
        for at, index in arrivals:
            self._push(at, _ARRIVAL, index)

    def _arrive(self, job: Job, now: float) -> None:
        job.arrival_s = now
        self._count(now, 1)
        self._plan_arrivals(self._arrivals.after_arrival())
        refused = self._gateway.seek(job, now)
        self._follow(job.replica)
        if refused is not None:
            self._leave(now)

    def _leave(self, now: float) -> None:
        """Count a request out."""
        self._count(now, -1)
        self._unfinished -= 1
        self._plan_arrivals(self._arrivals.after_end(now))

    def _count(self, now: float, change: int) -> None:
        self.in_flight_s += self._in_flight * (now - self._counted_at)
        self._counted_at = now
        self._in_flight += change

    # replicas

    def _follow(self, index: int) -> None:
        """Wake when the steps of a replica end."""
        at = self.replicas[index].next_at
        if at < inf and at != self._planned[index]:
            self._planned[index] = at
            self._push(at, _STEPS, index)

    def _end_steps(self, index: int, now: float) -> None:
        replica = self.replicas[index]
        if replica.next_at != now:
            return  # somebody came, and its steps end earlier than was planned
        ended = replica.advance()
        self._planned[index] = inf
        standings = self._gateway.standings
        standings.note(index, replica)
        for _ in ended:
            standings.closed(index)
            self._leave(now)
        if ended:
            self._free(now)
        self._follow(index)

    def _free(self, now: float) -> None:
        for index in self._gateway.freed(now):
            self._follow(index)

    def _plan_outage(self, index: int) -> None:
        outage = next(self._outages[index], None)
        if outage is not None:
            self._push(outage.at_s, _DOWN, index, outage)

    def _fail(self, outage: Outage) -> None:
        index, now = outage.replica, outage.at_s
        self._failed[index] += 1
        if not isinf(outage.seconds):
            self._push(now + outage.seconds, _UP, index, outage)
            self._plan_outage(index)
        replica, standings = self.replicas[index], self._gateway.standings
        jobs = replica.drain(now)
        standings.set_up(index, is_up=False)
        standings.note(index, replica)
        for job in jobs:
            job.retries += 1
            self._gateway.resume(job, now)
            self._follow(job.replica)

    def _recover(self, index: int, now: float) -> None:
        self._failed[index] -= 1
        if not self._failed[index]:
            self._gateway.standings.set_up(index, is_up=True)
            self._free(now)
