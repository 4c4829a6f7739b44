"""The best layouts, simulated on the same step model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.planner.finalists import Finalist, finalists
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Lengths, Load, Question, StaticLengths
from replicore.planner.recommend import answer_of
from tests.unit.planner.questions import question

# Few and short, so that a run takes milliseconds.
SHORT = {"input_tokens": Lengths(mean=256), "output_tokens": Lengths(mean=32), "batch_sizes": (8,)}


def simulated(asked: Question) -> Finalist:
    (found,) = finalists(answer_of(asked, uncalibrated()), uncalibrated(), count=1)
    return found


@pytest.mark.parametrize("static", [None, StaticLengths()])
def test_a_closed_loop_has_nearly_the_output_of_the_closed_form(
    static: StaticLengths | None,
) -> None:
    asked = question(**SHORT, static=static, paged=static is None, load=Load(concurrency=8))
    found = simulated(asked)
    service = found.outcome.service
    assert service is not None

    assert found.summary.output_tokens_per_s == pytest.approx(service.tokens_per_s.value, rel=0.25)


def test_at_a_low_rate_tpot_is_that_of_one_sequence_alone() -> None:
    found = simulated(question(**SHORT, load=Load(rate_per_s=0.05)))
    service = found.outcome.service
    assert service is not None

    assert found.summary.tpot.p50 == pytest.approx(service.tpot_s.value, rel=0.1)


def test_only_the_best_of_each_shape_is_simulated() -> None:
    found = finalists(answer_of(question(**SHORT), uncalibrated()), uncalibrated(), count=3)

    shapes = [(each.outcome.replicas, each.outcome.tp) for each in found]
    assert len(shapes) == len(set(shapes)) == 3


def test_the_same_plan_is_simulated_alike() -> None:
    asked = question(**SHORT, load=Load(rate_per_s=5.0))

    assert simulated(asked).summary == simulated(replace(asked)).summary
