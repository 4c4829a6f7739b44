"""What would change the answer."""

from __future__ import annotations

from dataclasses import replace

from replicore.planner.changes import changes_of
from replicore.planner.plan import Change, Plan
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Load, Question, Slo
from replicore.planner.recommend import Planner, answer_of
from tests.unit.planner.questions import question


def changes(asked: Question) -> list[Change]:
    planner = Planner(uncalibrated())
    return list(changes_of(planner.answer(asked), planner.answer))


def test_changes_that_leave_the_pick_alone_are_not_told() -> None:
    found = answer_of(question(), uncalibrated())

    assert list(changes_of(found, lambda asked: replace(found, question=asked))) == []


def test_every_other_question_that_has_another_answer_is_told_with_it() -> None:
    asked = question(slo=Slo(ttft_p99_s=1.0, tpot_p99_s=0.02), load=Load(concurrency=16))
    found = answer_of(asked, uncalibrated())
    others: list[Question] = []

    def answer(other: Question) -> Plan:
        others.append(other)
        return replace(found, feasible=False)

    told = list(changes_of(found, answer))

    assert [each.size for each in told] == [None] * len(others)
    assert [each.what for each in told] == [
        "a tighter TPOT limit, 16 ms",
        "a tighter TTFT limit, 800 ms",
        "a looser TPOT limit, 25 ms",
        "a looser TTFT limit, 1.25 s",
        "twice as many in flight, 32",
        "prompts of 2048 tokens",
    ]


def test_more_slots_than_the_spec_has_are_told_where_they_give_more() -> None:
    told = changes(question(own_batch_size=8))

    assert [each.size for each in told if each.what == "any other batch_size"] == ["8x1x64"]


def test_slots_are_no_change_where_a_limit_decides_them() -> None:
    told = changes(question(own_batch_size=8, slo=Slo(tpot_p99_s=0.02)))

    assert all(each.what != "any other batch_size" for each in told)


def test_prompts_that_no_sequence_has_room_for_are_not_asked_about() -> None:
    asked = question(max_model_len=1500)

    assert all("prompts" not in change.what for change in changes(asked))


def test_a_tighter_limit_near_the_edge_changes_the_pick() -> None:
    best = answer_of(question(), uncalibrated()).best
    assert best is not None
    assert best.service is not None
    edge = best.service.tpot_p99_s.high * 1.2

    told = changes(question(slo=Slo(tpot_p99_s=edge)))

    assert any(change.what.startswith("a tighter TPOT limit") for change in told)
