from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.failures import outages_of
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import Requests, at_once, poisson
from replicore.planner.simulate.model import (
    Batching,
    Binding,
    Breakdowns,
    FleetModel,
    Outage,
    ReplicaModel,
)
from replicore.planner.simulate.outcome import Outcome
from replicore.planner.simulate.summary import summarise

# A prompt token takes 0.01 s, a decode step 0.1 s.
REPLICA = ReplicaModel(steps=StepTime(decode_s=0.1, prompt_token_s=0.01), slots=2)


def run(fleet: FleetModel, count: int = 1) -> Outcome:
    return simulate(fleet, at_once(count), Requests.same(count, input_tokens=50, output_tokens=20))


def test_request_of_a_failed_replica_goes_on_with_what_it_has() -> None:
    found = run(FleetModel(replicas=(REPLICA,), outages=(Outage(0, 1.25, 2.0),)))

    # The prompt until 0.5, seven tokens until 1.2; at 3.25 the prompt and 8 tokens, which bring the
    # ninth, then 11 more.
    assert found.first_s[0] == pytest.approx(0.5)
    assert found.end_s[0] == pytest.approx(3.25 + 0.58 + 11 * 0.1)
    assert found.retries.tolist() == [1]


def test_request_of_a_failed_replica_is_sent_to_another_one_at_once() -> None:
    fleet = FleetModel(replicas=(REPLICA, REPLICA), outages=(Outage(0, 1.25, 9.0),))
    found = run(fleet, 2)
    moved = int(np.flatnonzero(found.retries)[0])

    assert found.replica.tolist() == [1, 1]
    # It is taken in after the other one's step, which ends at 1.3.
    assert found.end_s[moved] == pytest.approx(1.3 + 0.1 + 0.58 + 11 * 0.1)


def test_request_of_a_failed_replica_goes_before_those_that_wait() -> None:
    replica = ReplicaModel(steps=REPLICA.steps, slots=1)
    found = run(FleetModel(replicas=(replica,), outages=(Outage(0, 1.25, 2.0),)), 2)

    assert found.end_s[0] <= found.started_s[1]


def test_replica_that_failed_was_busy_until_then() -> None:
    found = run(FleetModel(replicas=(REPLICA,), outages=(Outage(0, 1.25, 2.0),)))

    assert found.busy_s[0] == pytest.approx(1.25 + 0.58 + 11 * 0.1)


def test_failed_prefill_is_done_again() -> None:
    found = run(FleetModel(replicas=(REPLICA,), outages=(Outage(0, 0.3, 1.0),)))

    assert found.first_s[0] == pytest.approx(1.3 + 0.5)


def test_outages_that_overlap_are_over_when_the_last_one_is() -> None:
    outages = (Outage(0, 0.1, 1.0), Outage(0, 0.2, 3.0))
    found = run(FleetModel(replicas=(REPLICA,), outages=outages))

    assert found.first_s[0] == pytest.approx(3.2 + 0.5)


@pytest.mark.parametrize("binding", ["late", "early"])
@pytest.mark.parametrize("batching", ["continuous", "static", "independent"])
def test_breakdowns_lose_no_request_and_no_token(batching: Batching, binding: Binding) -> None:
    replica = ReplicaModel(steps=REPLICA.steps, slots=4, batching=batching)
    fleet = FleetModel(
        replicas=(replica,) * 4, binding=binding, breakdowns=Breakdowns(mtbf_s=15.0, mttr_s=4.0)
    )
    requests = Requests.same(200, input_tokens=50, output_tokens=20)
    found = simulate(fleet, poisson(4.0, 200, np.random.default_rng(1)), requests, seed=2)

    assert found.is_served.all()
    assert found.retries.sum() > 5
    assert found.replica_tokens.sum() == 200 * 20
    assert summarise(found).little_s == pytest.approx(np.mean(found.end_s - found.arrival_s))


def test_requests_for_which_no_replica_comes_back_have_no_end() -> None:
    found = run(FleetModel(replicas=(REPLICA,), outages=(Outage(0, 1.25, float("inf")),)), 3)

    assert not found.is_served.any()
    assert np.isnan(found.end_s).all()


def test_breakdowns_are_exponential_and_of_each_replica_alone() -> None:
    fleet = FleetModel(replicas=(REPLICA,) * 2, breakdowns=Breakdowns(mtbf_s=90.0, mttr_s=10.0))
    first, second = (list(islice(outages_of(fleet, replica, 7), 2000)) for replica in (0, 1))
    down = np.array([outage.seconds for outage in first])

    assert first[0].at_s != second[0].at_s
    assert down.mean() == pytest.approx(10.0, rel=0.1)
    assert down.std() == pytest.approx(10.0, rel=0.15)
    assert first[-1].at_s / 2000 == pytest.approx(100.0, rel=0.1)
