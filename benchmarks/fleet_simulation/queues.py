"""Simulated waits next to those of queueing theory. Servers are replicas with one slot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.result_file import Row
from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import Ints, Requests, poisson
from replicore.planner.simulate.model import FleetModel, ReplicaModel
from replicore.planner.simulate.theory import md1_wait_s, mm1_wait_s, mmc_wait_s

# A request takes 1 ms for each output token, and nothing else.
STEPS = StepTime(decode_s=1e-3, prefill_s=1e-3)
MEAN_TOKENS = 1000
LOADS = (0.3, 0.5, 0.7, 0.8, 0.9)
SERVERS = (2, 4, 16)
SEEDS = 5


def queue_rows(requests: int) -> Iterator[Row]:
    for load in LOADS:
        yield _row("M/M/1", 1, load, mm1_wait_s(load, 1.0), requests)
        yield _row("M/D/1", 1, load, md1_wait_s(load, 1.0), requests)
    for servers in SERVERS:
        for load in (0.7, 0.8, 0.9):
            expected = mmc_wait_s(load * servers, 1.0, servers)
            yield _row("M/M/c", servers, load, expected, requests)


def _row(queue: str, servers: int, load: float, expected_s: float, count: int) -> Row:
    waits = [_wait_s(queue, servers, load, count, seed) for seed in range(SEEDS)]
    mean_s = float(np.mean(waits))
    # Of the mean over seeds; 2.78 is Student's t of four degrees of freedom.
    half_s = 2.78 * float(np.std(waits, ddof=1)) / SEEDS**0.5
    return {
        "part": "theory",
        "queue": queue,
        "servers": servers,
        "load": load,
        "wait_s": round(mean_s, 4),
        "wait_ci95_s": [round(mean_s - half_s, 4), round(mean_s + half_s, 4)],
        "theory_s": round(expected_s, 4),
        "error": round(mean_s / expected_s - 1, 4),
    }


def _wait_s(queue: str, servers: int, load: float, count: int, seed: int) -> float:
    rng = np.random.default_rng([seed, servers])
    tokens = _tokens(queue, count, rng)
    fleet = FleetModel(
        replicas=(ReplicaModel(steps=STEPS, slots=1),) * servers, policy="least_outstanding"
    )
    requests = Requests(input_tokens=np.ones_like(tokens), output_tokens=tokens)
    run = simulate(fleet, poisson(load * servers, count, rng), requests)
    return float(np.mean(run.started_s - run.arrival_s))


def _tokens(queue: str, count: int, rng: np.random.Generator) -> Ints:
    if queue == "M/D/1":
        return np.full(count, MEAN_TOKENS)
    return np.ceil(rng.exponential(MEAN_TOKENS, count)).astype(np.int64)
