from __future__ import annotations

import pytest

from replicore.engines.sim.scheduler import Timing
from replicore.engines.sim.steptime import StepTime

STEPS = StepTime(
    decode_s=0.5,
    sequence_s=0.1,
    context_token_s=0.01,
    prefill_s=2.0,
    prompt_token_s=0.2,
    prompt_pair_s=0.02,
)


def test_decode_step_is_the_sum_of_its_terms() -> None:
    # 0.5 + 3 * 0.1 + 20 * 0.01
    assert STEPS.decode(3, 20) == pytest.approx(1.0)


def test_prompt_grows_with_its_square() -> None:
    # 10 * 0.2 + 10 * (0 + 10 / 2) * 0.02, and 2.0 for a step of its own
    assert STEPS.prompt(10) == pytest.approx(3.0)
    assert STEPS.prefill(10) == pytest.approx(5.0)


def test_prompt_in_two_parts_takes_as_long_as_whole() -> None:
    assert STEPS.prompt(10) + STEPS.prompt(30, 10) == pytest.approx(STEPS.prompt(40))


def test_faster_steps_are_shorter_by_the_speed_in_every_term() -> None:
    fast = STEPS.faster(4)

    assert fast.decode(3, 20) == pytest.approx(0.25)
    assert fast.prefill(10) == pytest.approx(1.25)


def test_given_rates_are_the_terms_of_a_step() -> None:
    timing = Timing(
        prefill_tokens_per_s=100,
        prefill_slope=0.5,
        decode_tokens_per_s=10,
        decode_batch_slope=0.2,
        decode_context_slope=3,
    )
    steps = timing.steps()

    # a step of 0.1 s, longer by 3 sequences (0.6) and half a thousand tokens (1.5)
    assert steps.decode(4, 500) == pytest.approx(0.31)
    # 2000 tokens have 1000 before them on average: 2000 / 100 * (1 + 0.5 * 1000 / 1000)
    assert steps.prefill(2000) == pytest.approx(30.0)


def test_default_rates_have_no_slopes() -> None:
    steps = Timing().steps()

    assert steps.decode(16, 100_000) == 1 / 200
    assert steps.prefill(20_000) == pytest.approx(1.0)
