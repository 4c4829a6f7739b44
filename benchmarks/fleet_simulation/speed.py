"""How long a simulation takes: CPU seconds of one core."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.result_file import Row
from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import Requests, poisson
from replicore.planner.simulate.model import FleetModel, ReplicaModel
from replicore.planner.simulate.summary import summarise

REQUESTS = 100_000
# About an H100 with a model of 8B: seconds.
STEPS = StepTime(
    decode_s=0.01,
    sequence_s=1e-4,
    context_token_s=1e-8,
    prefill_s=0.01,
    prompt_token_s=2e-5,
    prompt_pair_s=1e-9,
)
# Replicas, policy, requests per second and replica: nearly idle, busy, and more than they can do.
CASES = (
    (1, "least_work", 5.0),
    (10, "least_work", 8.0),
    (100, "least_work", 2.0),
    (100, "least_work", 8.0),
    (100, "least_outstanding", 8.0),
    (100, "least_work", 16.0),
    (1000, "least_work", 8.0),
    (1000, "least_outstanding", 8.0),
)


def speed_rows(requests: int) -> Iterator[Row]:
    for case in CASES:
        yield _row(*case, requests)


def _row(replicas: int, policy: str, rate_per_s: float, count: int) -> Row:
    fleet = FleetModel(replicas=(ReplicaModel(steps=STEPS, slots=32),) * replicas, policy=policy)
    load = poisson(rate_per_s * replicas, count, np.random.default_rng(1))
    requests = Requests.same(count, input_tokens=512, output_tokens=128)
    started = time.process_time()
    run = simulate(fleet, load, requests)
    cpu_s = time.process_time() - started
    found = summarise(run)
    return {
        "part": "speed",
        "replicas": replicas,
        "policy": policy,
        "rate_per_s_and_replica": rate_per_s,
        "requests": count,
        "cpu_s": round(cpu_s, 2),
        "simulated_s": round(found.window_s, 1),
        "output_tokens": int(run.replica_tokens.sum()),
        "in_flight": round(found.in_flight, 1),
    }
