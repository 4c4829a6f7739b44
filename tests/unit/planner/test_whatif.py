"""Another layout from what one was measured to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.errors import InfeasiblePlan
from replicore.planner.layouts import Layout
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Load, Question
from replicore.planner.recommend import answer_of
from replicore.planner.step.traffic import Observation
from replicore.planner.whatif import WhatIf, what_if
from tests.unit.planner.questions import only_from_4_cores, question

MEASURED = Layout(replicas=1, tp=8, batch_size=64)
OTHER = Layout(replicas=2, tp=4, batch_size=32)


def observation(asked: Question, factor: float) -> Observation:
    """Return what would be measured if everything took ``factor`` times what is predicted."""
    degrees = tuple(each for each in asked.degrees if each.tp == 8)
    only = replace(asked, degrees=degrees, replicas=1, batch_sizes=(64,), load=Load(concurrency=64))
    best = answer_of(only, uncalibrated()).best
    assert best is not None
    assert best.service is not None
    assert best.service.ttft_s is not None
    return Observation(
        case=replace(best.service.case, replica=replace(best.service.case.replica, kv_tokens=None)),
        ttft_s=factor * best.service.ttft_s.value,
        tpot_s=factor * best.service.tpot_s.value,
    )


def predicted(factor: float) -> WhatIf:
    asked = question()
    return what_if(asked, uncalibrated(), observation(asked, factor), MEASURED, OTHER)


def test_a_machine_that_is_slower_than_the_model_is_so_with_the_other_layout_too() -> None:
    slow, as_modelled = (predicted(factor).after.service for factor in (1.5, 1.0))
    assert slow is not None
    assert as_modelled is not None

    assert 1.15 < slow.tpot_s.value / as_modelled.tpot_s.value <= 1.5


def test_a_measurement_narrows_the_interval() -> None:
    found = predicted(1.2)
    assert found.before.service is not None
    assert found.after.service is not None

    assert found.after.service.log_sd < 0.9 * found.before.service.log_sd


def test_what_was_known_of_the_other_layout_still_counts() -> None:
    asked = question()
    unknown = predicted(1.0).after.service
    assert unknown is not None
    known = uncalibrated().learn([Observation(case=unknown.case, tpot_s=2 * unknown.tpot_s.value)])

    service = what_if(asked, known, observation(asked, 1.0), MEASURED, OTHER).after.service

    assert service is not None
    assert service.tpot_s.value > 1.7 * unknown.tpot_s.value


def test_the_other_layout_has_the_load_that_was_measured() -> None:
    service = predicted(1.0).after.service
    assert service is not None

    assert service.case.traffic.concurrency == 32  # 64 in flight over two replicas
    assert service.case.replica.tp == 4


def test_the_measured_output_follows_from_its_times() -> None:
    found = predicted(1.0)
    measured = found.measured
    assert measured.ttft_s is not None
    assert measured.tpot_s is not None

    request_s = measured.ttft_s + 255 * measured.tpot_s
    assert found.tokens_per_s == pytest.approx(64 * 256 / request_s)


def test_a_layout_that_cannot_be_run_is_refused_with_its_reason() -> None:
    asked = question(memory=only_from_4_cores)
    small = Layout(replicas=4, tp=2, batch_size=16)

    with pytest.raises(InfeasiblePlan, match=r"4x2x16 cannot be run: weights of 90 GiB"):
        what_if(asked, uncalibrated(), observation(asked, 1.0), MEASURED, small)


def test_a_tp_that_the_machine_does_not_have_is_refused() -> None:
    odd = Layout(replicas=1, tp=5, batch_size=16)

    with pytest.raises(InfeasiblePlan, match="5 cores are no replica on this machine"):
        what_if(question(), uncalibrated(), observation(question(), 1.0), MEASURED, odd)
