"""When replicas fail. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

import numpy as np

from replicore.planner.simulate.model import Breakdowns, FleetModel, Outage


def outages_of(fleet: FleetModel, replica: int, seed: int) -> Iterator[Outage]:
    """Yield the outages of a replica by their begin; without end where some are at random."""
    given = sorted(
        (outage for outage in fleet.outages if outage.replica == replica),
        key=lambda outage: outage.at_s,
    )
    if fleet.breakdowns is None:
        return iter(given)
    drawn = _drawn(fleet.breakdowns, replica, np.random.default_rng([seed, replica]))
    return merge(given, drawn, key=lambda outage: outage.at_s)


def _drawn(breakdowns: Breakdowns, replica: int, rng: np.random.Generator) -> Iterator[Outage]:
    at_s = 0.0
    while True:
        at_s += rng.exponential(breakdowns.mtbf_s)
        outage = Outage(replica, at_s, rng.exponential(breakdowns.mttr_s))
        yield outage
        at_s += outage.seconds
