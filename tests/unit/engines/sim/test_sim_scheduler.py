"""Timings worked out by hand: 100 prompt tokens/s and 10 output tokens/s unless said otherwise."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.sim.prefix_cache import PrefixCache
from replicore.engines.sim.scheduler import Emission, Scheduler, Timing
from replicore.engines.sim.sequence import Sequence

TIMING = Timing(prefill_tokens_per_s=100, decode_tokens_per_s=10)


def sequence(
    prompt: int, output: int, *, first: int = 0, stall_after: int | None = None
) -> Sequence:
    """A sequence of so many tokens; ``first`` tells prompts apart."""
    ids = [first, *range(1, prompt)]
    return Sequence(ids, max_tokens=output, ignore_eos=True, stall_after=stall_after)


def times(emissions: list[Emission], sequence: Sequence) -> list[float]:
    return [emission.at for emission in emissions if emission.sequence is sequence]


def test_first_token_comes_after_prefill_and_the_others_at_the_decode_rate() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a = sequence(50, 3)
    scheduler.add(a, 1.0)

    # 1.0 + 50 / 100, then 1 / 10 more each
    assert times(scheduler.advance(9.0), a) == pytest.approx([1.5, 1.6, 1.7])


def test_only_what_is_due_is_emitted() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    scheduler.add(sequence(50, 3), 0.0)

    assert scheduler.next_at == 0.5
    assert scheduler.advance(0.49) == []
    assert len(scheduler.advance(0.5)) == 1
    assert scheduler.next_at == 0.6


def test_prompts_are_prefilled_one_after_the_other() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=2)
    a, b = sequence(50, 2), sequence(20, 2)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    emissions = scheduler.advance(9.0)

    assert times(emissions, a) == pytest.approx([0.5, 0.6])
    assert times(emissions, b) == pytest.approx([0.7, 0.8])  # 0.5 + 20 / 100


def test_sequence_beyond_the_slots_waits_for_one() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a, b = sequence(50, 3), sequence(20, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.1)

    assert (scheduler.running, scheduler.waiting) == (1, 1)
    # a's last token at 0.7 frees the slot: 0.7 + 20 / 100
    assert times(scheduler.advance(9.0), b) == pytest.approx([0.9])
    assert (scheduler.running, scheduler.waiting) == (0, 0)


def test_waiting_sequences_are_taken_in_order_of_arrival() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    sequences = [sequence(10, 1) for _ in range(4)]
    for each in sequences:
        scheduler.add(each, 0.0)

    assert [emission.sequence for emission in scheduler.advance(9.0)] == sequences


def test_batch_slope_stretches_each_step_by_the_sequences_that_decode() -> None:
    timing = Timing(prefill_tokens_per_s=100, decode_tokens_per_s=10, decode_batch_slope=0.5)
    scheduler = Scheduler(timing.steps(), slots=2)
    a, b = sequence(10, 4), sequence(10, 2)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    emissions = scheduler.advance(9.0)

    # a alone at 0.1: 0.1 s. From b's first token at 0.2 on, two decode: 0.1 * (1 + 0.5) = 0.15 s.
    # b's last at 0.35 leaves a alone again.
    assert times(emissions, a) == pytest.approx([0.1, 0.2, 0.35, 0.45])
    assert times(emissions, b) == pytest.approx([0.2, 0.35])


def test_gap_is_counted_from_arrival_and_then_from_token_to_token() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    scheduler.add(sequence(10, 2), 1.0)

    assert [emission.gap for emission in scheduler.advance(9.0)] == pytest.approx([0.1, 0.1])


def test_known_prompt_blocks_need_no_prefill() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1, cache=PrefixCache(100))
    a, b = sequence(64, 1), sequence(64, 1)
    scheduler.add(a, 0.0)
    scheduler.advance(0.64)
    scheduler.add(b, 1.0)

    # the last token is always computed, so 3 of the 4 blocks of 16 are used: 16 / 100
    assert times(scheduler.advance(9.0), b) == pytest.approx([1.16])
    assert (a.cached_tokens, b.cached_tokens) == (0, 48)


def test_prompt_that_begins_otherwise_is_not_cached() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1, cache=PrefixCache(100))
    other = sequence(64, 1, first=7)
    scheduler.add(sequence(64, 1), 0.0)
    scheduler.add(other, 0.0)
    scheduler.advance(9.0)

    assert other.cached_tokens == 0


def test_output_is_cached_for_the_next_turn() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1, cache=PrefixCache(100))
    ids = list(range(16))
    scheduler.add(Sequence(ids, max_tokens=16, ignore_eos=True), 0.0)
    output = [token for emission in scheduler.advance(9.0) for token in emission.delta.ids]
    turn = Sequence([*ids, *output, 1], max_tokens=1)
    scheduler.add(turn, 10.0)
    scheduler.advance(19.0)

    assert turn.cached_tokens == 32


@pytest.mark.parametrize(
    ("cancelled_at", "first_token"),
    [
        (0.2, 0.4),  # in prefill: 0.2 + 20 / 100
        (0.65, 0.85),  # decoding: 0.65 + 20 / 100
    ],
)
def test_cancel_gives_the_slot_to_the_next_at_once(cancelled_at: float, first_token: float) -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a, b = sequence(50, 9), sequence(20, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    scheduler.advance(cancelled_at)
    scheduler.cancel(a, cancelled_at)
    emissions = scheduler.advance(9.0)

    assert times(emissions, a) == []
    assert times(emissions, b) == pytest.approx([first_token])


def test_cancelled_prefill_makes_way_for_the_next_prefill() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=3)
    a, b, c = sequence(50, 1), sequence(20, 1), sequence(30, 1)
    for each in (a, b, c):
        scheduler.add(each, 0.0)
    scheduler.cancel(b, 0.1)  # behind a: a goes on
    scheduler.cancel(a, 0.2)

    assert times(scheduler.advance(9.0), c) == pytest.approx([0.5])  # 0.2 + 30 / 100


def test_cancelled_waiting_sequence_never_runs() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a, b = sequence(10, 1), sequence(10, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.0)
    scheduler.cancel(b, 0.0)

    assert scheduler.waiting == 0
    assert times(scheduler.advance(9.0), b) == []


def test_cancel_of_a_finished_sequence_does_nothing() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a, b = sequence(10, 1), sequence(10, 5)
    scheduler.add(a, 0.0)
    scheduler.advance(1.0)
    scheduler.add(b, 1.0)
    scheduler.cancel(a, 1.0)

    assert scheduler.running == 1


def test_stalled_sequence_keeps_its_slot_and_is_never_due() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    scheduler.add(sequence(10, 5, stall_after=2), 0.0)

    assert len(scheduler.advance(99.0)) == 2
    assert scheduler.running == 1
    assert scheduler.next_at is None


def test_sequence_that_arrives_before_a_late_call_is_not_served_before_it_came() -> None:
    scheduler = Scheduler(TIMING.steps(), slots=1)
    a, b = sequence(10, 1), sequence(10, 1)
    scheduler.add(a, 0.0)
    scheduler.add(b, 0.5)  # a was done at 0.1, but nobody has called since

    assert times(scheduler.advance(9.0), b) == pytest.approx([0.6])


class Arrival(NamedTuple):
    at: float
    prompt: int
    output: int


ARRIVALS = st.lists(
    st.builds(Arrival, st.floats(0, 2), st.integers(1, 60), st.integers(1, 8)), max_size=12
)


def emitted(arrivals: list[Arrival], slots: int, *, step: float) -> list[tuple[int, float]]:
    """Return (sequence, time) of all tokens, calling every ``step`` seconds and at each arrival."""
    scheduler = Scheduler(TIMING.steps(), slots=slots)
    numbers: dict[Sequence, int] = {}
    emissions: list[Emission] = []
    for number, arrival in enumerate(sorted(arrivals)):
        emissions += scheduler.advance(arrival.at)
        each = sequence(arrival.prompt, arrival.output)
        numbers[each] = number
        scheduler.add(each, arrival.at)
        assert scheduler.running <= slots
    while scheduler.next_at is not None:
        emissions += scheduler.advance(scheduler.next_at + step)
    assert (scheduler.running, scheduler.waiting) == (0, 0)
    return [(numbers[emission.sequence], emission.at) for emission in emissions]


@given(ARRIVALS, st.integers(1, 4), st.floats(0, 5))
def test_tokens_come_at_the_same_times_however_late_the_calls_are(
    arrivals: list[Arrival], slots: int, step: float
) -> None:
    tokens = emitted(arrivals, slots, step=0.0)

    assert emitted(arrivals, slots, step=step) == tokens
    assert len(tokens) == sum(arrival.output for arrival in arrivals)
    assert all(before[1] <= after[1] for before, after in pairwise(tokens))


@given(ARRIVALS, st.integers(1, 3), st.data())
def test_cancelling_everything_leaves_nothing(
    arrivals: list[Arrival], slots: int, data: st.DataObject
) -> None:
    scheduler = Scheduler(TIMING.steps(), slots=slots, cache=PrefixCache(8))
    sequences = [sequence(arrival.prompt, arrival.output) for arrival in arrivals]
    for each in sequences:
        scheduler.add(each, 0.0)
    now = data.draw(st.floats(0, 3))
    scheduler.advance(now)
    for each in data.draw(st.permutations(sequences)):
        scheduler.cancel(each, now)

    assert (scheduler.running, scheduler.waiting, scheduler.cache_blocks) == (0, 0, 0)
    assert scheduler.advance(math.inf) == []
