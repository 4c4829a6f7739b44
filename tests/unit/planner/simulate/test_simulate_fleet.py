"""Laws that hold for every run, and what a gateway does with its requests."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.errors import ConfigError
from replicore.gateway.routing.policies import POLICIES
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import (
    ClosedLoop,
    OpenLoop,
    Requests,
    at_once,
    constant,
    poisson,
)
from replicore.planner.simulate.model import Binding, FleetModel, ReplicaModel
from replicore.planner.simulate.summary import summarise

STEPS = StepTime(decode_s=0.02, sequence_s=1e-3, prefill_s=0.01, prompt_token_s=1e-4)
REPLICA = ReplicaModel(steps=STEPS, slots=4)
# A request takes 1 s for each output token, and nothing else.
PLAIN = ReplicaModel(steps=StepTime(decode_s=1.0, prefill_s=1.0), slots=1)


def drawn(count: int) -> Requests:
    rng = np.random.default_rng(5)
    return Requests(
        input_tokens=rng.integers(1, 300, count), output_tokens=rng.integers(1, 60, count)
    )


@pytest.mark.parametrize("binding", ["late", "early"])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_token_comes_and_littles_law_holds(policy: str, binding: Binding) -> None:
    fleet = FleetModel(replicas=(REPLICA,) * 5, policy=policy, binding=binding)
    run = simulate(fleet, poisson(15.0, 300, np.random.default_rng(6)), drawn(300))
    found = summarise(run)

    assert run.is_served.all()
    assert run.replica_tokens.sum() == run.output_tokens.sum()
    assert found.little_s == pytest.approx(found.e2e.mean)
    assert np.all(run.arrival_s <= run.sent_s)
    assert np.all(run.sent_s <= run.started_s)
    assert np.all(run.started_s < run.first_s)
    assert np.all(run.first_s <= run.end_s)


def test_throughput_grows_with_the_rate_until_it_stays() -> None:
    rates = []
    for rate in (1.0, 4.0, 16.0, 64.0, 256.0):
        run = simulate(FleetModel(replicas=(REPLICA,) * 2), constant(rate, 300), drawn(300))
        rates.append(summarise(run).output_tokens_per_s)

    assert rates == sorted(rates)
    assert rates[-1] < 1.1 * rates[-2]


def test_late_binding_sends_no_replica_more_than_its_slots() -> None:
    run = simulate(FleetModel(replicas=(REPLICA,) * 3), at_once(100), drawn(100))

    for replica in range(3):
        here = run.replica == replica
        for at in run.sent_s[here]:
            assert (here & (run.sent_s <= at) & (run.end_s > at)).sum() <= 4


def test_request_that_is_sent_when_a_step_ends_waits_for_the_next_one() -> None:
    replica = ReplicaModel(steps=StepTime(decode_s=1.0, prefill_s=1.0), slots=2)
    requests = Requests(input_tokens=np.ones(3, int), output_tokens=np.array([2, 5, 1]))
    late, early = (
        simulate(FleetModel(replicas=(replica,), binding=binding), at_once(3), requests)
        for binding in ("late", "early")
    )

    # The first ends at 2, when the step until 3 begins; the third is in it only if it is there.
    assert early.started_s[2] == 2.0
    assert late.started_s[2] == 3.0


def test_request_that_comes_when_a_step_ends_has_missed_the_next_one() -> None:
    replica = ReplicaModel(steps=StepTime(decode_s=1.0, prefill_s=1.0), slots=2)
    requests = Requests.same(2, input_tokens=1, output_tokens=5)
    run = simulate(FleetModel(replicas=(replica,)), OpenLoop(np.array([0.0, 2.0])), requests)

    assert run.started_s.tolist() == [0.0, 3.0]


def test_users_of_a_closed_loop_have_one_request_each_and_think() -> None:
    fleet = FleetModel(replicas=(PLAIN, PLAIN))
    run = simulate(fleet, ClosedLoop(2, 0.5), Requests.same(5, input_tokens=1, output_tokens=3))

    assert run.arrival_s.tolist() == [0.0, 0.0, 3.5, 3.5, 7.0]
    assert run.end_s.tolist() == [3.0, 3.0, 6.5, 6.5, 10.0]


def test_think_times_may_differ() -> None:
    load = ClosedLoop(1, np.array([9.0, 1.0, 2.0]))
    run = simulate(
        FleetModel(replicas=(PLAIN,)), load, Requests.same(3, input_tokens=1, output_tokens=1)
    )

    assert run.arrival_s.tolist() == [0.0, 2.0, 5.0]


def test_full_queue_refuses() -> None:
    fleet = FleetModel(replicas=(PLAIN,), queue_limit=1)
    run = simulate(fleet, at_once(3), Requests.same(3, input_tokens=1, output_tokens=2))

    assert run.is_served.tolist() == [True, True, False]
    assert np.isnan(run.sent_s[2])


def test_full_queue_puts_out_the_caller_with_most_in_it() -> None:
    fleet = FleetModel(replicas=(PLAIN,), queue_limit=2)
    requests = Requests(
        input_tokens=np.ones(4, int), output_tokens=np.ones(4, int), callers=("a", "a", "a", "b")
    )
    run = simulate(fleet, at_once(4), requests)

    assert run.is_served.tolist() == [True, True, False, True]


def test_queue_is_fair_over_callers() -> None:
    requests = Requests(
        input_tokens=np.ones(4, int), output_tokens=np.ones(4, int), callers=("a", "a", "a", "b")
    )
    run = simulate(FleetModel(replicas=(PLAIN,)), at_once(4), requests)

    assert run.end_s.tolist() == [1.0, 2.0, 4.0, 3.0]


def test_session_stays_with_its_replica_under_consistent_hash() -> None:
    requests = Requests(
        input_tokens=np.ones(60, int), output_tokens=np.ones(60, int), sessions=[0, 1, 2] * 20
    )
    fleet = FleetModel(replicas=(PLAIN,) * 8, policy="consistent_hash")
    run = simulate(fleet, constant(0.2, 60), requests)

    for session in range(3):
        assert len(set(run.replica[session::3].tolist())) == 1


def test_fast_replica_gets_more_work() -> None:
    fast = ReplicaModel(steps=STEPS.faster(3.0), slots=4)
    run = simulate(
        FleetModel(replicas=(fast, REPLICA)),
        poisson(8.0, 400, np.random.default_rng(1)),
        drawn(400),
    )

    assert run.replica_tokens[0] > 1.5 * run.replica_tokens[1]


def test_kv_cache_sets_the_throughput_and_what_is_beyond_it_waits() -> None:
    replica = ReplicaModel(steps=STEPS, slots=256, kv_tokens=2400)
    requests = Requests.same(400, input_tokens=200, output_tokens=40)
    found = []
    for users in (5, 10, 20, 40):
        run = simulate(FleetModel(replicas=(replica,)), ClosedLoop(users), requests)
        found.append(summarise(run))
    _, full, twice, four = found

    # Ten requests of 240 tokens fit. Beyond that the throughput stays, and the surplus waits.
    assert twice.output_tokens_per_s == pytest.approx(full.output_tokens_per_s, rel=0.1)
    assert four.output_tokens_per_s == pytest.approx(twice.output_tokens_per_s, rel=0.03)
    grown = (four.wait.mean or 0.0) - (twice.wait.mean or 0.0)
    assert grown == pytest.approx(20 / twice.requests_per_s, rel=0.1)


def test_same_arguments_give_the_same_run() -> None:
    fleet = FleetModel(replicas=(REPLICA,) * 3, policy="power_of_two")
    load = poisson(20.0, 100, np.random.default_rng(2))
    one, other = (simulate(fleet, load, drawn(100)) for _ in range(2))

    assert one.end_s.tolist() == other.end_s.tolist()


def test_request_longer_than_the_model_takes_is_refused_by_number() -> None:
    replica = ReplicaModel(steps=STEPS, slots=4, max_model_len=100)
    requests = Requests(input_tokens=np.array([10, 90]), output_tokens=np.array([5, 20]))

    with pytest.raises(ConfigError, match="request 1: 90 tokens of input and 20 of output"):
        simulate(FleetModel(replicas=(replica,)), at_once(2), requests)


def test_load_with_too_few_arrivals_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 requests are more than the 2 times of the load"):
        simulate(FleetModel(replicas=(REPLICA,)), OpenLoop(np.zeros(2)), drawn(3))
