"""What the terms of TTFT and TPOT are called when costs are told to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from replicore.planner.plan import COSTS
from replicore.planner.prediction.fit import Array
from replicore.planner.step.terms import TPOT_TERMS, TTFT_TERMS

_OF_TPOT = {
    "weights": "weights",
    "kv": "kv",
    "compute": "compute",
    "prefill": "prefill",
    "launch": "host",
    "hops": "collectives",
    "transfer": "collectives",
    "sequences": "host",
    "fixed": "host",
}
_OF_TTFT = {
    "fixed": "host",
    "prompt": "prefill",
    "transfer": "collectives",
    "launch": "host",
    "hops": "collectives",
    "overlap": "prefill",
    "burst": "queue",
    "turn": "queue",
    "step": "queue",
    "steps": "queue",
    "queue": "queue",
}

# What a closed loop has and random arrivals have not: a common start, and waiting for one's turn.
_CLOSED_LOOP = frozenset({"burst", "turn", "steps", "queue"})


def _sums(terms: Sequence[str], costs: Mapping[str, str]) -> Array:
    """Return the matrix that sums terms into costs, shape (terms, costs)."""
    return np.array([[float(costs[term] == cost) for cost in COSTS] for term in terms])


_TPOT_SUMS = _sums(TPOT_TERMS, _OF_TPOT)
_TTFT_SUMS = _sums(TTFT_TERMS, _OF_TTFT)
_STEADY = np.array([float(term not in _CLOSED_LOOP) for term in TTFT_TERMS])


def tpot_costs(shares: Array) -> Array:
    """Return the shares of ``COSTS`` from those of ``TPOT_TERMS``, shape (cases, costs)."""
    return np.asarray(shares @ _TPOT_SUMS)


def ttft_costs(shares: Array) -> tuple[Array, Array]:
    """Return the shares of ``COSTS`` from those of ``TTFT_TERMS``, in two parts.

    Returns:
        What every load has, and what a closed loop has besides; each of shape (cases, costs).
    """
    return np.asarray((shares * _STEADY) @ _TTFT_SUMS), np.asarray(
        (shares * (1 - _STEADY)) @ _TTFT_SUMS
    )
