"""Output tok/s of a replica that is never short of requests: all are there from the start. Pure.

The running batch is what limits allow: B = min(max_batch, room in the KV cache, requests).

Requests of one length that start together also end together. So N of them go through in waves: N/B
whole ones, and one of the rest, in which steps are shorter but serve fewer. With W_i sequences in
wave i and a step of t(W_i) seconds, one output token costs sum(t(W_i)) / N seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.replica import Replica
from replicore.planner.step.terms import kv_sequences, tpot_terms
from replicore.planner.step.traffic import Case, Traffic


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Requests that are all there from the start.

    Attributes:
        input_tokens: Of every prompt.
        output_tokens: Of every output.
        requests: How many there are; None where they do not end.
        max_batch: Sequences that the engine runs at a time at most; None for no limit but memory.
    """

    input_tokens: float
    output_tokens: float
    requests: float | None = None
    max_batch: float | None = None


def offline_batch(replica: Replica, load: Offline) -> float:
    """Return how many sequences run at a time; at least 1.

    Raises:
        ValueError: Neither memory, nor the engine, nor the number of requests limits it.
    """
    room = kv_sequences(_case(replica, load, 1.0))
    limits = [limit for limit in (room, load.max_batch, load.requests) if limit is not None]
    if not limits:
        raise ValueError("offline throughput needs kv_tokens, max_batch or requests")
    return max(1.0, min(limits))


def offline_terms(replica: Replica, load: Offline) -> Array:
    """Return the data-sheet seconds of one output token, in the order of ``TPOT_TERMS``."""
    cases, counts = _waves(replica, load)
    steps = np.array([tpot_terms(case) for case in cases])
    return np.asarray(counts @ steps / _served(replica, load), dtype=np.float64)


def offline_tok_s(predictor: Predictor, replicas: Sequence[Replica], load: Offline) -> Array:
    """Return the output tok/s of each replica, shape (replicas,)."""
    return np.array([_tok_s(predictor, replica, load) for replica in replicas])


def _tok_s(predictor: Predictor, replica: Replica, load: Offline) -> float:
    cases, counts = _waves(replica, load)
    return _served(replica, load) / float(counts @ predictor.tpot(cases).seconds)


def _served(replica: Replica, load: Offline) -> float:
    """Return the requests of all waves; where requests do not end, those of one."""
    return offline_batch(replica, load) if load.requests is None else load.requests


def _waves(replica: Replica, load: Offline) -> tuple[list[Case], Array]:
    """Return the waves that differ, as cases, and how many there are of each."""
    waves = list(_sizes(offline_batch(replica, load), load.requests))
    cases = [_case(replace(replica, kv_tokens=None), load, size) for size, _ in waves]
    return cases, np.array([count for _, count in waves])


def _sizes(batch: float, requests: float | None) -> Iterator[tuple[float, float]]:
    """Yield (sequences, how many such waves)."""
    whole, rest = (1.0, 0.0) if requests is None else divmod(requests, batch)
    yield batch, whole
    if rest > 0:
        yield rest, 1.0


def _case(replica: Replica, load: Offline, batch: float) -> Case:
    traffic = Traffic(
        input_tokens=load.input_tokens, output_tokens=load.output_tokens, concurrency=batch
    )
    return Case(replica=replica, traffic=traffic)
