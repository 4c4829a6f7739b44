from __future__ import annotations

import pytest

from replicore.engines.sim.steptime import StepTime
from replicore.planner.simulate.stretch import Stretch, decode_stretch


class Kinked(StepTime):
    """Free up to 1,000 tokens of context, and then not."""

    def decode(self, sequences: int, context: int) -> float:
        return 1.0 + max(0, context - 1000) * 0.01


# Steps of 2, 3 and 4 seconds from 10 on.
THREE = (10.0, 2.0, 1.0, 3)


def test_steps_end_as_their_lengths_add_up() -> None:
    stretch = Stretch(*THREE)

    assert [stretch.end_of(step) for step in range(4)] == [10.0, 12.0, 15.0, 19.0]
    assert stretch.end == 19.0


@pytest.mark.parametrize(
    ("at", "done"), [(9.0, 0), (10.0, 0), (11.9, 0), (12.0, 1), (14.9, 1), (15.0, 2), (99.0, 3)]
)
def test_step_is_done_when_it_has_ended(at: float, done: int) -> None:
    assert Stretch(*THREE).done(at) == done


def test_steps_that_get_shorter_are_counted_too() -> None:
    stretch = Stretch(0.0, 4.0, -1.0, 3)  # 4, 3 and 2 seconds

    assert [stretch.done(at) for at in (3.9, 4.0, 6.9, 7.0, 8.9, 9.0)] == [0, 1, 1, 2, 2, 3]


def test_steps_without_length_are_all_done_at_once() -> None:
    assert Stretch(1.0, 0.0, 0.0, 5).done(1.0) == 5


@pytest.mark.parametrize(("at", "count"), [(10.0, 1), (11.0, 1), (12.0, 2), (18.0, 3), (20.0, 3)])
def test_cut_leaves_the_step_that_is_worked_on(at: float, count: int) -> None:
    stretch = Stretch(*THREE)
    stretch.cut(at)

    assert stretch.count == count
    assert stretch.end == stretch.end_of(count)


def test_linear_steps_are_one_stretch_with_the_exact_sum() -> None:
    steps = StepTime(decode_s=1.0, sequence_s=0.1, context_token_s=0.001)
    stretch = decode_stretch(steps, 5.0, 3, 600, 1000)

    assert stretch.count == 1000
    # 1000 * (1.3 + 0.6) and three tokens of context more every step: 3e-3 * 999 * 1000 / 2
    assert stretch.end == pytest.approx(5.0 + 1900 + 1498.5)


def test_stretch_ends_before_steps_that_bend() -> None:
    stretch = decode_stretch(Kinked(decode_s=0.0), 0.0, 1, 600, 1600)

    exact = sum(1.0 + max(0, context - 1000) * 0.01 for context in range(600, 600 + stretch.count))
    assert stretch.count < 500
    assert stretch.end == pytest.approx(exact, rel=1e-3)


def test_one_step_is_a_stretch() -> None:
    assert decode_stretch(StepTime(decode_s=2.0), 1.0, 4, 10, 1).end == 3.0
