"""The recommendation in words."""

from __future__ import annotations

from dataclasses import replace

from replicore.planner.advice import describe, reason, told_s
from replicore.planner.plan import Outcome, Plan
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Load, Question, Slo
from replicore.planner.recommend import answer_of
from tests.unit.planner.questions import only_from_4_cores, question


def answer(asked: Question) -> Plan:
    return answer_of(asked, uncalibrated())


def with_collectives(outcome: Outcome, share: float) -> Outcome:
    """Return the outcome with so much of a TPOT of 50 ms on collectives, the rest spread evenly."""
    service = outcome.service
    assert service is not None
    rest = (1 - share) / (len(service.tpot_shares) - 1)
    shares = {**dict.fromkeys(service.tpot_shares, rest), "collectives": share}
    tpot = replace(service.tpot_s, value=0.05)
    return replace(outcome, service=replace(service, tpot_shares=shares, tpot_s=tpot))


def test_the_recommendation_begins_with_the_layout_and_what_it_gives() -> None:
    found = answer(question())
    assert found.best is not None

    assert found.reason.startswith(f"{describe(found.best)}: ")
    assert "output tok/s" in found.reason
    assert "SLO" not in found.reason


def test_a_larger_tp_is_beaten_for_its_collectives() -> None:
    found = answer(question())
    best = next(each for each in found.outcomes if each.tp == 1)
    rival = with_collectives(next(each for each in found.outcomes if each.tp == 4), 0.41)
    told = reason(replace(found, best=best, outcomes=(best, rival)))

    assert f"where collectives are 41 % of TPOT at TP{rival.tp}" in told
    assert f"times the tokens of {describe(rival)}" in told


def test_a_rival_with_hardly_fewer_tokens_has_as_many_and_no_reason_is_sought() -> None:
    found = answer(question())
    best = next(each for each in found.outcomes if each.tp == 1)
    rival = replace(with_collectives(best, 0.41), tp=4)
    told = reason(replace(found, best=best, outcomes=(best, rival)))

    assert told.endswith(f"; as many tokens as {describe(rival)}")


def test_a_cost_that_hardly_counts_is_no_reason() -> None:
    found = answer(question())
    best = with_collectives(next(each for each in found.outcomes if each.tp == 1), 0.0)
    rival = replace(with_collectives(best, 0.05), replicas=1, tp=4)
    assert best.service is not None
    assert rival.service is not None
    fewer = replace(rival.service.tokens_per_s, value=best.service.tokens_per_s.value / 2)
    rival = replace(rival, service=replace(rival.service, tokens_per_s=fewer))

    told = reason(replace(found, best=best, outcomes=(best, rival)))

    assert told.endswith(f"2.00 times the tokens of {describe(rival)}")


def test_slots_that_the_spec_has_not_are_told_with_their_key() -> None:
    limit = Slo(tpot_p99_s=1)

    assert "layout.batch_size = 64, and the spec has 8" in (
        answer(question(slo=limit, own_batch_size=8)).reason
    )
    assert "layout.batch_size" not in answer(question(slo=limit, own_batch_size=64)).reason


def test_a_smaller_tp_that_does_not_fit_is_told_with_its_reason() -> None:
    found = answer(question(memory=only_from_4_cores, degrees=question().degrees[1:3]))

    assert "TP2 cannot be run: weights of 90 GiB are more than 79 GiB" in found.reason


def test_an_impossible_limit_is_told_with_the_nearest_layout_and_its_cost() -> None:
    found = answer(question(slo=Slo(tpot_p99_s=1e-4)))
    assert found.best is not None

    assert found.reason.startswith("no layout is likely to meet the SLO: ")
    assert f"{describe(found.best)} comes nearest" in found.reason
    assert "of 0.1 ms" in found.reason
    assert "% of TPOT" in found.reason


def test_a_likely_layout_that_is_not_safe_is_a_bet() -> None:
    best = answer(question()).best
    assert best is not None
    assert best.service is not None
    limit = 1.05 * best.service.tpot_p99_s.value

    only = question(degrees=(question().degrees[0],), batch_sizes=(64,), replicas=8)
    found = answer(replace(only, slo=Slo(tpot_p99_s=limit)))

    assert "is the best bet, not a safe one" in found.reason
    assert "95 % being asked" in found.reason


def test_a_rate_that_one_machine_cannot_take_is_told_by_how_much() -> None:
    found = answer(question(load=Load(rate_per_s=1e5)))

    assert "no layout of one machine keeps up with 100000 requests/s" in found.reason
    assert "times as much arrives as it can do" in found.reason


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [told_s(each) for each in (0.0123, 0.9999, 12.345)] == ["12.3 ms", "1 s", "12.3 s"]
    assert [told_s(each) for each in (867, 36_000, 5_700_000)] == ["14 min", "10 h", "1,583 h"]
