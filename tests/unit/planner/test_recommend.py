"""Which layout is best, and in which order the others follow."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.planner.plan import Plan
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Degree, Load, Question, Slo
from replicore.planner.recommend import answer_of, plan, value_of
from tests.unit.planner.questions import only_from_4_cores, question


def answer(asked: Question) -> Plan:
    return answer_of(asked, uncalibrated())


def test_without_limits_the_most_output_is_best() -> None:
    found = answer(question())

    assert found.best is found.outcomes[0]
    assert found.feasible
    values = [value_of(found.question, each) for each in found.outcomes]
    assert values == sorted(values, reverse=True)


def test_without_limits_the_specs_slots_come_before_all_others() -> None:
    found = answer(question(own_batch_size=8))

    slots = [each.batch_size == 8 for each in found.outcomes]
    assert found.best is not None
    assert slots == sorted(slots, reverse=True)
    assert found.best.batch_size == 8
    assert value_of(found.question, found.best) < max(
        value_of(found.question, each) for each in found.outcomes
    )


@pytest.mark.parametrize("decided", [{"slo": Slo(tpot_p99_s=1)}, {"load": Load(rate_per_s=0.1)}])
def test_a_limit_or_a_rate_decides_how_many_slots(decided: dict[str, Any]) -> None:
    free, bound = (answer(question(own_batch_size=own, **decided)) for own in (None, 8))

    assert [each.size for each in bound.outcomes] == [each.size for each in free.outcomes]


def test_slots_of_the_spec_that_no_layout_has_room_for_leave_the_choice_free() -> None:
    found = answer(question(own_batch_size=512))

    assert found.best is not None
    assert found.best.batch_size in question().batch_sizes


def test_limits_that_only_some_meet_put_these_first() -> None:
    found = answer(question(slo=Slo(tpot_p99_s=0.012)))

    safe = [each.service is not None and each.service.meets >= 0.95 for each in found.outcomes]
    assert found.feasible
    assert 0 < sum(safe) < len(safe)
    assert safe == sorted(safe, reverse=True)


def test_where_nothing_is_safe_the_best_of_the_nearly_safest_is_taken() -> None:
    found = answer(question(slo=Slo(tpot_p99_s=0.0045), risk=0.01))
    services = [each.service for each in found.outcomes if each.service is not None]

    assert not found.feasible
    assert 0.005 < max(each.meets for each in services) < 0.99
    assert services[0].meets >= max(each.meets for each in services) - 0.01


def test_a_hopeless_limit_is_missed_by_the_first_layout_the_least() -> None:
    found = answer(question(slo=Slo(tpot_p99_s=1e-5)))
    times = [each.service.tpot_p99_s.value for each in found.outcomes if each.service is not None]

    assert not found.feasible
    assert times[0] == min(times)


def test_at_a_rate_that_all_can_take_the_fewest_cores_are_best() -> None:
    found = answer(question(load=Load(rate_per_s=0.1)))

    assert found.best is not None
    assert found.best.cores == 1


def test_layouts_that_memory_refuses_come_last_with_the_reason() -> None:
    found = answer(question(memory=only_from_4_cores))

    assert found.best is not None
    assert found.best.tp >= 4
    refused = [each for each in found.outcomes if each.service is None]
    assert {each.tp for each in refused} == {1, 2}
    assert {each.refusal for each in refused} == {"weights of 90 GiB are more than 79 GiB"}
    assert list(found.outcomes[-len(refused) :]) == refused


def test_a_plan_without_any_layout_says_why() -> None:
    found = plan(
        question(degrees=(Degree(tp=1, replicas=8),), memory=only_from_4_cores), uncalibrated()
    )

    assert (found.best, found.feasible, found.changes) == (None, False, ())
    assert found.reason.startswith("no layout can be run: with 1 x TP1 with batch 1 weights of 90")


def test_what_was_never_measured_is_beyond_its_calibration_in_everything() -> None:
    found = answer(question())

    assert found.best is not None
    assert found.best.service is not None
    assert "tp" in found.best.service.beyond
    assert found.calibrated_from.startswith("nothing measured on this device with this engine; ")
