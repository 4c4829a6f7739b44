from __future__ import annotations

from collections.abc import Callable

import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.errors import ConfigError
from replicore.planner.simulate.model import Breakdowns, FleetModel, Outage, ReplicaModel

STEPS = StepTime(decode_s=0.02)
REPLICA = ReplicaModel(steps=STEPS, slots=4)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ReplicaModel(steps=STEPS, slots=0), "slots: 0 is below 1"),
        (lambda: ReplicaModel(steps=STEPS, slots=1, kv_tokens=0), "kv_tokens: 0 is below 1"),
        (
            lambda: ReplicaModel(steps=STEPS, slots=1, batching="static", kv_tokens=64),
            "kv_tokens: static batching has a KV cache for every slot",
        ),
        (lambda: FleetModel(replicas=()), "a fleet needs at least one replica"),
        (
            lambda: FleetModel(replicas=(REPLICA,), policy="least"),
            'policy: unknown policy "least" .valid: "least_work", "least_outstanding"',
        ),
        (lambda: FleetModel(replicas=(REPLICA,), queue_limit=-1), "queue_limit: -1 is below 0"),
        (
            lambda: FleetModel(replicas=(REPLICA,), outages=(Outage(1, 0.0, 1.0),)),
            "outage of replica 1: there are 1, from 0",
        ),
        (lambda: Outage(0, -1.0, 1.0), "outage of 1 s at -1 s: both must be at least 0"),
        (lambda: Breakdowns(10.0, 0.0), "mtbf 10 s and mttr 0 s must both be above 0"),
    ],
)
def test_fleet_that_makes_no_sense_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
