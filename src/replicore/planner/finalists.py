"""The best layouts once more, from event to event: percentiles that a closed form has not. Pure.

The gateway's own policies route the requests, lengths are drawn, and what waits is counted rather
than worked out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from replicore.planner.plan import Outcome, Plan, Service
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.prediction.steps import steps_of
from replicore.planner.question import Lengths, Question
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import ClosedLoop, Load, Requests, normal, poisson
from replicore.planner.simulate.model import FleetModel, ReplicaModel
from replicore.planner.simulate.outcome import Ints
from replicore.planner.simulate.summary import Slo, Summary, summarise

# Requests for each that is in flight, at least and at most.
_ROUNDS = 8
_LEAST, _MOST = 200, 3000

# Share of a run that is its start.
_WARM_UP = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A layout that was simulated.

    Attributes:
        requests: That were simulated, the start of the run counted.
    """

    outcome: Outcome
    requests: int
    summary: Summary


def finalists(plan: Plan, predictor: Predictor, *, count: int, seed: int = 1) -> list[Finalist]:
    """Return the best layouts of a plan, simulated, of each replicas x tp the best one only."""
    chosen: dict[tuple[int, int], Outcome] = {}
    for outcome in plan.outcomes:
        if outcome.service is not None and len(chosen) < count:
            chosen.setdefault((outcome.replicas, outcome.tp), outcome)
    return [_simulated(plan.question, predictor, each, seed) for each in chosen.values()]


def _simulated(question: Question, predictor: Predictor, outcome: Outcome, seed: int) -> Finalist:
    """Return a layout's run; ``outcome`` has a service."""
    service = outcome.service
    if service is None:
        raise ValueError(f"{outcome.size} is refused")
    rng = np.random.default_rng(seed)
    in_flight = service.case.traffic.concurrency * outcome.replicas
    count = int(min(_MOST, max(_LEAST, _ROUNDS * in_flight)))
    requests = Requests(
        input_tokens=_drawn(question.input_tokens, count, rng),
        output_tokens=_drawn(question.output_tokens, count, rng),
    )
    fleet = _fleet(question, predictor, outcome, service)
    found = simulate(fleet, _load(question, in_flight, count, rng), requests, seed=seed)
    begin_s = float(np.quantile(found.arrival_s, _WARM_UP))
    slo = Slo(ttft_s=question.slo.ttft_p99_s, tpot_s=question.slo.tpot_p99_s)
    # Those that come last have the replicas to themselves once the others are done.
    last_s = float(found.arrival_s.max())
    summary = summarise(found, slo=slo, after_s=begin_s, until_s=last_s)
    return Finalist(outcome=outcome, requests=count, summary=summary)


def _drawn(lengths: Lengths, count: int, rng: np.random.Generator) -> Ints:
    return normal(lengths.mean, lengths.stddev, count, rng)


def _load(question: Question, in_flight: float, count: int, rng: np.random.Generator) -> Load:
    if question.load.rate_per_s is not None:
        return poisson(question.load.rate_per_s, count, rng)
    return ClosedLoop(max(1, min(count // 2, round(in_flight))))


def _fleet(
    question: Question, predictor: Predictor, outcome: Outcome, service: Service
) -> FleetModel:
    kv_tokens = service.case.replica.kv_tokens
    replica = ReplicaModel(
        steps=steps_of(service.case, predictor),
        slots=outcome.batch_size,
        batching="continuous" if question.static is None else "static",
        kv_tokens=None if kv_tokens is None else int(kv_tokens),
    )
    return FleetModel(replicas=(replica,) * outcome.replicas, policy=question.routing)
