"""All that a sweep says, from its journal."""

from __future__ import annotations

from replicore.bench.sweep.entries import Failed
from tests.unit.bench.sweep.made import findings, plan, repeats, run


def test_runs_that_the_plan_does_not_have_any_more_are_left_out() -> None:
    found = findings([run("2x1"), run("8x1"), run("2x1", concurrency=9), run("2x1", repeat=5)])

    assert [one.point for one in found.runs] == [run("2x1").point]


def test_layout_that_failed_and_is_not_in_the_plan_is_left_out() -> None:
    failed = [Failed(layout=layout, repeat=0, message="no") for layout in ("1x2", "8x1")]

    assert [one.layout for one in findings([], failed=failed).failed] == ["1x2"]


def test_runs_that_are_still_to_be_made_are_counted() -> None:
    assert findings(repeats("2x1", [1, 2, 3]), of=plan(repeats=3)).missing == 3


def test_runs_of_a_layout_that_failed_are_not_missing() -> None:
    failed = [Failed(layout="1x2", repeat=0, message="no")]

    assert findings(repeats("2x1", [1, 2, 3]), of=plan(repeats=3), failed=failed).missing == 0


def test_one_simulated_run_makes_all_of_it_simulated() -> None:
    assert findings([run(), run("1x2", simulated=True)]).simulated
    assert not findings([run(), run("1x2")]).simulated


def test_cell_is_found_by_its_place() -> None:
    found = findings([run("2x1"), run("1x2")])

    assert found.cell("1x2", 4).layout == "1x2"
