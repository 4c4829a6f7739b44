"""Requests with steps of their own, held against the live simulator's scheduler."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replicore.engines.sim.scheduler import Scheduler
from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import OpenLoop, Requests, at_once, poisson
from replicore.planner.simulate.model import FleetModel, Outage, ReplicaModel


def live(steps: StepTime, slots: int, load: OpenLoop, requests: Requests) -> dict[str, list[float]]:
    scheduler = Scheduler(steps, slots=slots)
    sequences, emissions = [], []
    lengths = zip(requests.input_tokens.tolist(), requests.output_tokens.tolist(), strict=True)
    for at, (prompt, output) in zip(load.times_s.tolist(), lengths, strict=True):
        emissions += scheduler.advance(at)
        sequences.append(Sequence(range(prompt), max_tokens=output, ignore_eos=True))
        scheduler.add(sequences[-1], at)
    emissions += scheduler.advance(math.inf)
    first = {one.sequence: one.at for one in emissions if one.first}
    last = {one.sequence: one.at for one in emissions}
    return {"first": [first[one] for one in sequences], "last": [last[one] for one in sequences]}


def drawn(count: int) -> Requests:
    rng = np.random.default_rng(3)
    return Requests(
        input_tokens=rng.integers(1, 400, count), output_tokens=rng.integers(1, 60, count)
    )


@pytest.mark.parametrize("rate", [0.5, 5.0, 50.0])
def test_independent_requests_have_the_token_times_of_the_live_simulator(rate: float) -> None:
    # Odd numbers: what happens at exactly one time happens in another order there.
    steps = StepTime(
        decode_s=0.0207, sequence_s=2.13e-3, prefill_s=0.0103, prompt_token_s=math.pi * 3e-5
    )
    load, requests = poisson(rate, 150, np.random.default_rng(4)), drawn(150)
    expected = live(steps, 6, load, requests)
    replica = ReplicaModel(steps=steps, slots=6, batching="independent")
    run = simulate(FleetModel(replicas=(replica,), binding="early"), load, requests)

    assert run.first_s == pytest.approx(expected["first"])
    assert run.end_s == pytest.approx(expected["last"])


def test_growing_context_is_within_two_percent_of_the_live_simulator() -> None:
    steps = StepTime(decode_s=0.02, context_token_s=1e-5, prompt_token_s=1e-4)
    load, requests = poisson(3.0, 150, np.random.default_rng(5)), drawn(150)
    expected = live(steps, 6, load, requests)
    replica = ReplicaModel(steps=steps, slots=6, batching="independent")
    run = simulate(FleetModel(replicas=(replica,), binding="early"), load, requests)

    assert run.end_s - load.times_s == pytest.approx(expected["last"] - load.times_s, rel=0.02)


def test_independent_replica_that_fails_loses_no_token() -> None:
    replica = ReplicaModel(
        steps=StepTime(decode_s=0.1, prompt_token_s=0.01), slots=2, batching="independent"
    )
    fleet = FleetModel(replicas=(replica,), outages=(Outage(0, 1.25, 2.0),))
    run = simulate(fleet, at_once(1), Requests.same(1, input_tokens=50, output_tokens=20))

    # The prompt until 0.5, seven tokens until 1.2; at 3.25 prompt and 8 tokens, then 11 more.
    assert run.end_s[0] == pytest.approx(3.25 + 0.58 + 11 * 0.1)
    assert run.replica_tokens.tolist() == [20]
