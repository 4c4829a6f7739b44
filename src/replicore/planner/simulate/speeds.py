"""How fast the gateway takes a replica to be: what ``least_work`` reckons with. Pure.

A gateway learns it (``gateway/routing/rates.py``). Here it is worked out of the step model, as a
gateway would have learned it from requests of these lengths: a prefill rate, and a straight line
for the decode step through one request and all slots.
"""

from __future__ import annotations

from dataclasses import dataclass

from replicore.planner.simulate.model import ReplicaModel

# A further request is never quite free, as in gateway/routing/rates.py.
_LEAST_SLOPE_SHARE = 1 / 100


@dataclass(frozen=True, slots=True)
class Speeds:
    """A ``policies.Speed``."""

    prefill_rate: float
    step_base_s: float
    step_slope_s: float


def speeds(model: ReplicaModel, input_tokens: int, output_tokens: int) -> Speeds:
    """Return the speeds of a replica for requests of about such lengths."""
    context = input_tokens + output_tokens // 2
    one_s = model.steps.decode(1, context)
    others = max(1, model.slots - 1)
    all_s = model.steps.decode(1 + others, context * (1 + others))
    slope_s = min(max((all_s - one_s) / others, one_s * _LEAST_SLOPE_SHARE), one_s)
    prefill_s = model.steps.prefill(input_tokens, 0)
    rate = input_tokens / prefill_s if prefill_s > 0 else 1e12
    return Speeds(rate, max(one_s - slope_s, 0.0), max(slope_s, 1e-12))
