"""Steps worked out by hand, with terms that are easy to add."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.sim.prefix_cache import PrefixCache
from replicore.engines.sim.scheduler import Emission
from replicore.engines.sim.sequence import Sequence
from replicore.engines.sim.stepped import TOKEN_BUDGET, SteppedScheduler
from replicore.engines.sim.steptime import StepTime

# A decode step takes 1 s and 0.1 s a sequence; a prompt 0.01 s a token, and 0.5 s if it is alone.
STEPS = StepTime(decode_s=1.0, sequence_s=0.1, prefill_s=0.5, prompt_token_s=0.01)


def sequence(prompt: int, output: int, *, stall_after: int | None = None) -> Sequence:
    return Sequence(range(prompt), max_tokens=output, ignore_eos=True, stall_after=stall_after)


def static(slots: int = 4) -> SteppedScheduler:
    return SteppedScheduler(STEPS, slots=slots, static=True)


def continuous(
    slots: int = 4, *, kv_blocks: int | None = None, cache: PrefixCache | None = None
) -> SteppedScheduler:
    return SteppedScheduler(STEPS, slots=slots, static=False, kv_blocks=kv_blocks, cache=cache)


def times(emissions: list[Emission], sequence: Sequence) -> list[float]:
    return [emission.at for emission in emissions if emission.sequence is sequence]


def run(scheduler: SteppedScheduler, *sequences: Sequence) -> list[Emission]:
    for each in sequences:
        scheduler.add(each, 0.0)
    return scheduler.advance(math.inf)


@pytest.mark.parametrize("scheduler", [static(), continuous()], ids=["static", "continuous"])
def test_sequence_alone_is_prefilled_and_then_decoded(scheduler: SteppedScheduler) -> None:
    a = sequence(50, 3)
    emissions = run(scheduler, a)

    # 0.5 + 50 * 0.01, then 1.1 each
    assert times(emissions, a) == pytest.approx([1.0, 2.1, 3.2])
    assert [emission.first for emission in emissions] == [True, False, False]
    assert [emission.gap for emission in emissions] == pytest.approx([1.0, 1.1, 1.1])


def test_static_batch_holds_decoding_back_until_all_prompts_are_done() -> None:
    a, b = sequence(50, 2), sequence(20, 2)
    emissions = run(static(), a, b)

    # a until 1.0, b alone until 1.0 + 0.5 + 0.2, then a step of both
    assert times(emissions, a) == pytest.approx([1.0, 2.9])
    assert times(emissions, b) == pytest.approx([1.7, 2.9])


def test_static_batch_takes_a_prompt_as_soon_as_a_slot_is_free() -> None:
    a, b = sequence(50, 2), sequence(20, 1)
    emissions = run(static(slots=1), a, b)

    assert times(emissions, b) == pytest.approx([2.1 + 0.7])


def test_continuous_batch_works_on_prompts_beside_decoding() -> None:
    scheduler = continuous()
    a, b = sequence(50, 3), sequence(20, 2)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.5)
    emissions = scheduler.advance(math.inf)

    # b waits for a's step to end at 1.0; the next one has a's token and b's prompt: 1.1 + 0.2
    assert times(emissions, a) == pytest.approx([1.0, 2.3, 3.5])
    assert times(emissions, b) == pytest.approx([2.3, 3.5])


def test_prompt_longer_than_the_budget_takes_several_steps() -> None:
    a = sequence(TOKEN_BUDGET + 100, 1)
    emissions = run(continuous(), a)

    assert times(emissions, a) == pytest.approx([2 * 0.5 + (TOKEN_BUDGET + 100) * 0.01])


def test_step_takes_longer_with_what_its_sequences_attend_to() -> None:
    scheduler = SteppedScheduler(
        StepTime(decode_s=1.0, context_token_s=0.001), slots=2, static=False
    )
    a = sequence(100, 3)

    # prompt and first token, then one more
    assert times(run(scheduler, a), a) == pytest.approx([0.0, 1.101, 2.203])


def test_prompt_waits_until_the_kv_cache_has_room_for_it() -> None:
    scheduler = continuous(kv_blocks=4)
    a, b = sequence(32, 4), sequence(32, 1)
    emissions = run(scheduler, a, b)

    assert times(emissions, b)[0] > times(emissions, a)[-1]
    assert scheduler.preemptions == 0


def test_sequence_taken_last_is_put_back_when_the_kv_cache_is_full() -> None:
    scheduler = continuous(kv_blocks=4)
    a, b = sequence(20, 20), sequence(20, 20)
    emissions = run(scheduler, a, b)

    # Two blocks each, until both have 32 tokens and need a third.
    assert scheduler.preemptions == 1
    assert len(times(emissions, a)) == len(times(emissions, b)) == 20
    assert times(emissions, b)[-1] > times(emissions, a)[-1]
    assert [emission.first for emission in emissions].count(True) == 2


def test_sequence_put_back_does_the_prefill_of_its_output_too() -> None:
    scheduler = continuous(kv_blocks=4)
    a, b = sequence(20, 13), sequence(20, 14)
    emissions = run(scheduler, a, b)
    gaps = [emission.gap for emission in emissions if emission.sequence is b]

    # a is a step ahead. With 32 tokens it needs a third block, and goes on alone for its last
    # step; then the 31 tokens of b are worked through again.
    assert max(gaps[1:]) == pytest.approx(1.1 + 0.5 + 0.31)


def test_sequence_longer_than_the_kv_cache_runs_alone() -> None:
    scheduler = continuous(kv_blocks=1)

    assert len(run(scheduler, sequence(40, 3))) == 3


def test_known_prompt_blocks_need_no_prefill() -> None:
    scheduler = continuous(cache=PrefixCache(100))
    a, b = sequence(64, 1), sequence(64, 1)
    scheduler.add(a, 0.0)
    scheduler.advance(9.0)
    scheduler.add(b, 10.0)

    # the last token is always computed: 16 of 64
    assert times(scheduler.advance(99.0), b) == pytest.approx([10.0 + 0.5 + 0.16])
    assert b.cached_tokens == 48


@pytest.mark.parametrize("scheduler", [static(1), continuous(1)], ids=["static", "continuous"])
def test_step_goes_on_after_a_cancel_and_then_the_next_has_the_slot(
    scheduler: SteppedScheduler,
) -> None:
    a, b = sequence(50, 9), sequence(20, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    scheduler.cancel(a, 0.3)
    emissions = scheduler.advance(math.inf)

    assert times(emissions, a) == []
    assert times(emissions, b) == pytest.approx([1.0 + 0.7])


def test_cancel_of_the_only_stalled_sequence_lets_the_next_begin() -> None:
    scheduler = continuous(1)
    a, b = sequence(50, 9, stall_after=1), sequence(20, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    scheduler.advance(5.0)
    assert (scheduler.next_at, scheduler.running, scheduler.waiting) == (None, 1, 1)
    scheduler.cancel(a, 6.0)

    assert times(scheduler.advance(99.0), b) == pytest.approx([6.7])


def test_at_most_so_many_emissions_are_followed_by_no_further_step() -> None:
    scheduler = continuous()
    for _ in range(3):
        scheduler.add(sequence(10, 50), 0.0)
    first = scheduler.advance(math.inf, most=4)

    assert 4 <= len(first) <= 6
    assert len(first) + len(scheduler.advance(math.inf)) == 150


ARRIVALS = st.lists(
    st.tuples(st.floats(0, 9), st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=10
)


def emitted(
    scheduler: SteppedScheduler, arrivals: list[tuple[float, int, int]], *, late: float
) -> list[tuple[int, float]]:
    """Return (sequence, time) of all tokens, calling late, or never before the end."""
    numbers: dict[Sequence, int] = {}
    emissions: list[Emission] = []
    for number, (at, prompt, output) in enumerate(sorted(arrivals)):
        emissions += scheduler.advance(at - late)
        each = sequence(prompt, output)
        numbers[each] = number
        scheduler.add(each, at)
    emissions += scheduler.advance(math.inf)
    assert (scheduler.running, scheduler.waiting, scheduler.cache_blocks) == (0, 0, 0)
    return [(numbers[emission.sequence], emission.at) for emission in emissions]


@given(ARRIVALS, st.booleans(), st.sampled_from([None, 5, 9]), st.floats(0, 20))
def test_tokens_come_at_the_same_times_however_late_the_calls_are(
    arrivals: list[tuple[float, int, int]], is_static: bool, blocks: int | None, late: float
) -> None:
    def new() -> SteppedScheduler:
        return SteppedScheduler(STEPS, slots=3, static=is_static, kv_blocks=blocks)

    tokens = emitted(new(), arrivals, late=0.0)

    assert emitted(new(), arrivals, late=late) == tokens
    assert len(tokens) == sum(output for _, _, output in arrivals)
