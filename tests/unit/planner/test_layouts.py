"""Which layouts there are to think about."""

from __future__ import annotations

from replicore.planner.layouts import batch_sizes, layouts_of, refused_of
from replicore.planner.question import Degree
from tests.unit.planner.questions import question


def test_layouts_are_every_tp_with_every_batch_and_telling_numbers_of_replicas() -> None:
    asked = question(degrees=(Degree(tp=1, replicas=24),), batch_sizes=(1, 4))

    found = {layout.replicas for layout in layouts_of(asked)}

    # the small ones, powers of two, and all that there is room for
    assert found == {1, 2, 3, 4, 8, 16, 24}
    assert len(list(layouts_of(asked))) == 2 * len(found)


def test_as_many_replicas_as_the_memory_holds_are_a_layout() -> None:
    asked = question(degrees=(Degree(tp=1, replicas=24, held=13),), batch_sizes=(1,))

    assert {layout.replicas for layout in layouts_of(asked)} == {1, 2, 3, 4, 8, 13, 16, 24}


def test_layouts_may_leave_cores_idle() -> None:
    sizes = {layout.size for layout in layouts_of(question())}

    assert {"1x1x8", "3x2x8", "1x8x64"} <= sizes


def test_a_number_of_replicas_that_has_no_room_is_no_layout_and_is_refused() -> None:
    crowded = Degree(tp=4, replicas=2, crowded="3 replicas x 4 cores need 12 cores, 8 are usable")
    asked = question(replicas=3, degrees=(Degree(tp=2, replicas=4), crowded))

    (refused,) = refused_of(asked)

    assert {layout.tp for layout in layouts_of(asked)} == {2}
    assert (refused.layout.replicas, refused.layout.tp) == (3, 4)
    assert "12 cores" in refused.reason


def test_an_illegal_tp_is_refused_with_its_reason_and_has_no_layouts() -> None:
    asked = question(degrees=(Degree(tp=6, replicas=0, refusal="6 does not divide 32"),))

    assert [each.reason for each in refused_of(asked)] == ["6 does not divide 32"]
    assert list(layouts_of(asked)) == []


def test_batch_sizes_are_powers_of_two_and_the_own_one() -> None:
    assert batch_sizes(16, 6) == (1, 2, 4, 6, 8, 16)
    assert batch_sizes(20, 24) == (1, 2, 4, 8, 16, 24)
