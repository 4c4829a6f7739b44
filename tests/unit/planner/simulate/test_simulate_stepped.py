"""Batches, held against the live simulator, which works out every single token."""

from __future__ import annotations

import math

import numpy as np
import pytest

from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.stepped import SteppedScheduler
from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.continuous import Continuous
from replicore.planner.simulate.fleet import simulate
from replicore.planner.simulate.job import Job
from replicore.planner.simulate.load import OpenLoop, Requests, at_once, poisson
from replicore.planner.simulate.model import Batching, FleetModel, ReplicaModel
from replicore.planner.simulate.outcome import Outcome

STEPS = StepTime(
    decode_s=0.02,
    sequence_s=1e-3,
    context_token_s=3e-6,
    prefill_s=0.01,
    prompt_token_s=1e-4,
    prompt_pair_s=1e-8,
)


def drawn(count: int, seed: int, *, longest: int = 600) -> Requests:
    rng = np.random.default_rng(seed)
    return Requests(
        input_tokens=rng.integers(1, longest, count), output_tokens=rng.integers(1, 80, count)
    )


def simulated(load: OpenLoop, requests: Requests, replica: ReplicaModel) -> Outcome:
    return simulate(FleetModel(replicas=(replica,), binding="early"), load, requests)


def live(
    load: OpenLoop, requests: Requests, replica: ReplicaModel
) -> tuple[list[float], list[float], int]:
    """Return first and last token times of the live simulator, and its preemptions."""
    blocks = None if replica.kv_tokens is None else replica.kv_tokens // replica.kv_block_tokens
    scheduler = SteppedScheduler(
        STEPS, slots=replica.slots, static=replica.batching == "static", kv_blocks=blocks
    )
    sequences, emissions = [], []
    lengths = zip(requests.input_tokens.tolist(), requests.output_tokens.tolist(), strict=True)
    for at, (prompt, output) in zip(load.times_s.tolist(), lengths, strict=True):
        emissions += scheduler.advance(at)
        sequences.append(Sequence(range(prompt), max_tokens=output, ignore_eos=True))
        scheduler.add(sequences[-1], at)
    emissions += scheduler.advance(math.inf)
    first = {one.sequence: one.at for one in emissions if one.first}
    last = {one.sequence: one.at for one in emissions}
    return (
        [first[one] for one in sequences],
        [last[one] for one in sequences],
        scheduler.preemptions,
    )


@pytest.mark.parametrize("rate", [0.5, 4.0, 40.0])
@pytest.mark.parametrize(("slots", "kv_tokens"), [(8, None), (8, 1600), (2, 700)])
def test_continuous_batch_has_the_token_times_of_the_live_simulator(
    rate: float, slots: int, kv_tokens: int | None
) -> None:
    load, requests = poisson(rate, 150, np.random.default_rng(7)), drawn(150, 8)
    replica = ReplicaModel(steps=STEPS, slots=slots, kv_tokens=kv_tokens)
    first, last, preemptions = live(load, requests, replica)
    run = simulated(load, requests, replica)

    assert run.first_s == pytest.approx(first)
    assert run.end_s == pytest.approx(last)
    assert run.preemptions.tolist() == [preemptions]


@pytest.mark.parametrize("rate", [0.5, 4.0, 40.0])
def test_static_batch_has_the_token_times_of_the_live_simulator(rate: float) -> None:
    load, requests = poisson(rate, 150, np.random.default_rng(9)), drawn(150, 10)
    replica = ReplicaModel(steps=STEPS, slots=4, batching="static")
    first, last, _ = live(load, requests, replica)
    run = simulated(load, requests, replica)

    assert run.first_s == pytest.approx(first)
    assert run.end_s == pytest.approx(last)


def test_prompts_beyond_the_token_budget_have_the_token_times_of_the_live_simulator() -> None:
    load, requests = at_once(12), drawn(12, 11, longest=6000)
    replica = ReplicaModel(steps=STEPS, slots=12)
    first, last, _ = live(load, requests, replica)
    run = simulated(load, requests, replica)

    assert run.first_s == pytest.approx(first)
    assert run.end_s == pytest.approx(last)


def test_small_kv_cache_preempts() -> None:
    replica = ReplicaModel(steps=STEPS, slots=8, kv_tokens=1600)
    run = simulated(at_once(60), drawn(60, 12), replica)

    assert run.preemptions[0] > 0
    assert run.replica_tokens.sum() == run.output_tokens.sum()


@pytest.mark.parametrize("batching", ["continuous", "static", "independent"])
def test_request_alone_takes_the_prefill_and_its_decode_steps(batching: Batching) -> None:
    replica = ReplicaModel(
        steps=StepTime(decode_s=0.02, prompt_token_s=1e-3), slots=4, batching=batching
    )
    run = simulated(at_once(1), Requests.same(1, input_tokens=100, output_tokens=11), replica)

    assert run.first_s[0] == pytest.approx(100 * 1e-3)
    assert run.end_s[0] == pytest.approx(0.1 + 10 * 0.02)


def test_first_token_of_a_static_batch_comes_sooner_and_all_later() -> None:
    requests = Requests.same(8, input_tokens=500, output_tokens=50)
    continuous, static = (
        simulated(at_once(8), requests, ReplicaModel(steps=STEPS, slots=8, batching=batching))
        for batching in ("continuous", "static")
    )

    # The continuous one works on seven prompts in one step, which saves six fixed parts.
    assert static.first_s[1] < continuous.first_s[1]
    assert static.end_s.max() > continuous.end_s.max()


def test_steps_that_bend_with_the_context_are_within_the_tolerance() -> None:
    class Bent(StepTime):
        def decode(self, sequences: int, context: int) -> float:
            return max(0.02, context * 5e-5)  # bound by arithmetic, then by memory

    requests = Requests.same(1, input_tokens=100, output_tokens=1000)
    replica = ReplicaModel(steps=Bent(decode_s=0.0), slots=1)
    run = simulated(at_once(1), requests, replica)

    exact = sum(max(0.02, context * 5e-5) for context in range(101, 1100))
    assert run.end_s[0] - run.first_s[0] == pytest.approx(exact, rel=1e-3)


def test_prompt_that_is_worked_on_again_is_crossed_out_once() -> None:
    replica = Continuous(ReplicaModel(steps=STEPS, slots=8, kv_tokens=256))
    for index in range(8):
        replica.add(Job(index, 60, 40), 0.0)
    while replica.next_at < math.inf:
        replica.advance()

    assert replica.preemptions > 0
    assert (replica.prompt_tokens, replica.left_tokens) == (0, 0)
