"""The simulation against what is known exactly. Servers are replicas with one slot."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.errors import UndefinedMetric
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.load import Ints, Requests, at_once, poisson
from replicore.planner.simulate.model import Binding, FleetModel, ReplicaModel
from replicore.planner.simulate.theory import erlang_c, md1_wait_s, mm1_wait_s, mmc_wait_s

# A request takes 1 ms for each output token, and nothing else.
STEPS = StepTime(decode_s=1e-3, prefill_s=1e-3)
MEAN_TOKENS = 1000
COUNT = 20_000


def exponential(seed: int, count: int = COUNT) -> Ints:
    rng = np.random.default_rng(seed)
    return np.ceil(rng.exponential(MEAN_TOKENS, count)).astype(np.int64)


def mean_wait_s(
    output_tokens: Ints,
    rate: float,
    *,
    servers: int = 1,
    policy: str = "least_outstanding",
    binding: Binding = "late",
    speed: float = 1.0,
) -> float:
    replica = ReplicaModel(steps=STEPS.faster(speed), slots=1)
    fleet = FleetModel(replicas=(replica,) * servers, policy=policy, binding=binding)
    load = poisson(rate, len(output_tokens), np.random.default_rng(99))
    requests = Requests(input_tokens=np.ones_like(output_tokens), output_tokens=output_tokens)
    run = simulate(fleet, load, requests)
    return float(np.mean(run.started_s - run.arrival_s))


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_wait_of_exponential_service_is_that_of_m_m_1(load: float) -> None:
    assert mean_wait_s(exponential(1), load) == pytest.approx(mm1_wait_s(load, 1.0), rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_wait_of_constant_service_is_that_of_m_d_1(load: float) -> None:
    tokens = np.full(COUNT, MEAN_TOKENS)

    assert mean_wait_s(tokens, load) == pytest.approx(md1_wait_s(load, 1.0), rel=0.05)


@pytest.mark.parametrize(("servers", "load"), [(4, 0.8), (16, 0.9)])
def test_wait_for_one_of_several_replicas_is_erlangs(servers: int, load: float) -> None:
    expected = mmc_wait_s(load * servers, 1.0, servers)
    measured = mean_wait_s(exponential(2), load * servers, servers=servers)

    assert measured == pytest.approx(expected, rel=0.1)


def test_erlang_c_has_the_values_of_the_tables() -> None:
    # One server: its load. Two at a load of 1/2, by hand: B = 1/5, C = (1/5) / (1 - 4/10) = 1/3.
    assert erlang_c(0.7, 1) == pytest.approx(0.7)
    assert erlang_c(1.0, 2) == pytest.approx(1 / 3)


def test_theory_refuses_a_load_without_a_mean_wait() -> None:
    with pytest.raises(UndefinedMetric, match=r"a load of 1\.25 has no mean wait"):
        mmc_wait_s(2.5, 1.0, 2)


@pytest.mark.slow
def test_policies_and_late_binding_are_ordered_as_theory_orders_them() -> None:
    def wait_s(policy: str, binding: Binding) -> float:
        return mean_wait_s(exponential(3, 8000), 3.2, servers=4, policy=policy, binding=binding)

    random, turns = wait_s("random", "early"), wait_s("round_robin", "early")
    two, shortest = wait_s("power_of_two", "early"), wait_s("least_outstanding", "early")

    assert random > turns > shortest > wait_s("least_outstanding", "late")
    assert random > two > shortest
    # A random split makes four M/M/1 of one stream.
    assert random == pytest.approx(mm1_wait_s(0.8, 1.0), rel=0.15)


@pytest.mark.slow
def test_four_replicas_near_saturation_do_as_much_as_one_four_times_as_fast() -> None:
    tokens = exponential(4, 4000)
    ends = []
    for servers, speed in ((4, 1.0), (1, 4.0)):
        replica = ReplicaModel(steps=STEPS.faster(speed), slots=1)
        requests = Requests(input_tokens=np.ones_like(tokens), output_tokens=tokens)
        run = simulate(FleetModel(replicas=(replica,) * servers), at_once(4000), requests)
        ends.append(run.end_s.max())

    assert ends[0] == pytest.approx(ends[1], rel=0.002)
