"""Every choice is held against the gateway's own policies, one replica after the other."""

from __future__ import annotations

import numpy as np
import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.gateway.routing.policies import POLICIES, cheapest
from replicore.gateway.routing.standing import Ask
from replicore.planner.simulate.continuous import Continuous
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.model import ReplicaModel
from replicore.planner.simulate.speeds import speeds
from replicore.planner.simulate.standings import Standings

STEPS = StepTime(decode_s=0.02, sequence_s=1e-3, context_token_s=1e-6, prompt_token_s=1e-4)


def fleet(policy: str, seed: int) -> tuple[Standings, list[Continuous]]:
    """Return replicas of different speeds with different work, half a second into it."""
    rng = np.random.default_rng(seed)
    models = [ReplicaModel(steps=STEPS.faster(1 + index % 3), slots=8) for index in range(12)]
    rates = [speeds(model, 200, 50) for model in models]
    standings = Standings(policy, list(range(100, 112)), [8] * 12, rates)
    replicas = [Continuous(model) for model in models]
    for index, replica in enumerate(replicas):
        for number in range(rng.integers(0, 9)):
            replica.add(Job(number, int(rng.integers(1, 400)), int(rng.integers(1, 90))), 0.0)
            standings.opened(index)
        while replica.next_at < 0.5:
            for _ in replica.advance():
                standings.closed(index)
        standings.note(index, replica)
    return standings, replicas


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("policy", POLICIES)
def test_choice_is_the_policys(policy: str, seed: int) -> None:
    standings, _ = fleet(policy, seed)
    able = standings.able()
    for turn in range(1, 40):
        prompt, output, session = 7 * turn, 90 - turn, turn % 5
        ask = Ask(prompt, output, [0.0] * len(able), session, turn)
        costs = POLICIES[policy](standings.rows(able, 0.5), ask)

        expected = able[cheapest(costs, turn)]
        assert standings.choose(able, prompt, output, session, 0.5) == expected


def test_expected_tokens_are_crossed_out_step_by_step() -> None:
    standings, replicas = fleet("least_work", 3)
    able = np.arange(12)
    before = standings.rows(able, 0.5)
    for index, replica in enumerate(replicas):
        assert before[index].prefill_tokens == replica.prompt_tokens
        stretch = replica.stretch
        steps = stretch.done(0.5) if stretch is not None else 0
        assert before[index].decode_tokens == replica.left_tokens - steps * replica.decoding


def test_replica_without_room_or_down_is_not_able() -> None:
    model = ReplicaModel(steps=STEPS, slots=1)
    standings = Standings("random", [1, 2, 3], [1, 1, 1], [speeds(model, 10, 10)] * 3)
    standings.opened(0)
    standings.set_up(1, is_up=False)

    assert standings.able().tolist() == [2]
    standings.closed(0)
    standings.set_up(1, is_up=True)
    assert standings.able().tolist() == [0, 1, 2]


def test_speeds_are_those_of_the_step_model() -> None:
    model = ReplicaModel(steps=STEPS, slots=5)
    found = speeds(model, 200, 100)

    # A step of n requests of 250 tokens: 0.02 + n * (0.001 + 250e-6); a prompt: 0.0001 a token.
    assert found.prefill_rate == pytest.approx(10_000)
    assert found.step_base_s == pytest.approx(0.02)
    assert found.step_slope_s == pytest.approx(0.00125)
