"""What is believed of layouts before and after some of them were measured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest

from replicore.bench.stats.objectives import Objectives
from replicore.bench.sweep.entries import Run
from replicore.bench.sweep.plan import SweptLayout
from replicore.errors import ConfigError
from replicore.planner.question import Slo
from replicore.planner.step.traffic import Traffic
from replicore.tune.belief import Belief, Problem, case_at, cases_of, key_of_question, observations
from tests.unit.tune.made import SIZES, cells, problem, question, run_of

TRAFFIC = Traffic(input_tokens=500, output_tokens=100, concurrency=4)


def believed(found: Problem, *runs: Run, failed: Collection[str] = ()) -> Belief:
    belief = found.believe(cells(found, runs), failed)
    assert belief is not None
    return belief


def rate_of(belief: Belief, size: str) -> float:
    one = belief.of(size)
    assert one is not None
    return one.tokens_per_s


def test_only_layouts_that_can_be_deployed_are_candidates() -> None:
    assert {one.size for one in believed(problem()).candidates} == set(SIZES)
    assert {one.size for one in believed(problem(["2x2x8"])).candidates} == {"2x2x8"}


def test_without_a_run_the_pick_is_run_first() -> None:
    belief = believed(problem())

    assert belief.following is not None
    assert belief.next == belief.pick
    assert belief.proven is None


def test_measured_layout_counts_with_what_was_measured() -> None:
    belief = believed(problem(), run_of("2x2x8", 123.0))
    measured = belief.of("2x2x8")

    assert measured is not None
    assert measured.measured is not None
    assert measured.tokens_per_s == 123.0
    assert belief.proven == measured


def test_slow_run_makes_like_layouts_slower_too() -> None:
    before, slow = believed(problem()), believed(problem(), run_of("2x2x8", 100.0, tpot_s=0.5))
    rates = [rate_of(one, "4x1x8") for one in (before, slow)]

    assert rates[1] < rates[0] / 2


def test_failed_layout_is_no_candidate_any_more() -> None:
    belief = believed(problem(), failed=("2x2x8",))

    assert belief.of("2x2x8") is None
    assert problem().believe(failed=SIZES) is None


def test_run_that_breaks_a_limit_is_not_proven() -> None:
    found = problem(slo=Slo(tpot_p99_s=0.05))
    late = cells(found, [run_of("4x1x8", 900.0, tpot_s=0.06)], Objectives(tpot_s=0.05))
    belief = found.believe(late)

    assert belief is not None
    assert belief.proven is None
    assert belief.pick.size != "4x1x8"


def test_all_measured_layouts_leave_nothing_to_run() -> None:
    belief = believed(problem(), *(run_of(size, 100.0) for size in SIZES))

    assert belief.following is None
    assert belief.next is None


def test_run_without_an_answer_says_nothing_of_times() -> None:
    found = problem()
    silent = replace(cells(found, [run_of("2x2x8")])[0])
    nothing = replace(silent, tpot_s=replace(silent.tpot_s, mean=None))

    assert len(observations([silent], cases_of(found.outcomes()))) == 1
    assert observations([nothing], cases_of(found.outcomes())) == []


def test_given_measurements_count_like_runs() -> None:
    found = problem()
    seen = observations(cells(found, [run_of("2x2x8", tpot_s=0.5)]), cases_of(found.outcomes()))
    told = believed(replace(found, given=seen)).of("4x1x8")

    assert told is not None
    assert told.measured is None
    assert told.tokens_per_s < rate_of(believed(found), "4x1x8") / 2


def test_case_of_any_layout_has_the_traffic_that_is_asked_for() -> None:
    case = case_at(question(), SweptLayout(2, 2, 16), TRAFFIC)

    assert (case.replica.tp, case.traffic) == (2, TRAFFIC)
    assert case.replica.engine == "vllm"


def test_calibrations_are_filed_under_device_and_engine() -> None:
    assert key_of_question(question()) == ("h100", "vllm")


# SAD PATH


def test_layout_that_cannot_be_is_refused_with_its_reason() -> None:
    asked = question()
    refused = tuple(
        replace(one, replicas=0, refusal="3 does not divide 32") if one.tp == 2 else one
        for one in asked.degrees
    )

    with pytest.raises(ConfigError, match="1x2x4: 3 does not divide 32"):
        case_at(replace(asked, degrees=refused), SweptLayout(1, 2, 4), TRAFFIC)


def test_refusal_is_of_a_layout_that_cannot_be_run() -> None:
    assert problem().refusal() == "none fits this machine"
