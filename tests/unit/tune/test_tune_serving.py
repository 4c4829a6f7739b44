"""Which layouts are tried, with what load, and on which cores."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from replicore.bench.sweep.plan import SweptLayout
from replicore.bench.sweep.serving import Serving
from replicore.errors import ArtefactError, InfeasiblePlan
from replicore.hardware.cpu_sheet_file import write_sheet
from replicore.spec import Spec
from replicore.tune import cores
from replicore.tune.cores import cpu_sheet
from replicore.tune.layouts import sweep_plan, visit_of
from replicore.tune.serving import deployable, tuned_spec
from tests.unit.hardware.test_cpu_sheet import SHEET, machine
from tests.unit.tune.made import SIZES, outcomes, problem


class Machine:
    """Says which layouts it can hold, and which are compiled."""

    def __init__(self, *, fits: Collection[str] = SIZES, compiled: Collection[str] = SIZES) -> None:
        self._fits = fits
        self._compiled = compiled

    def check(self, layout: SweptLayout) -> None:
        if str(layout) not in self._fits:
            raise InfeasiblePlan("it is too large")

    def check_compiled(self, layout: SweptLayout) -> None:
        if str(layout) not in self._compiled:
            raise ArtefactError("it is not there")


def serving(**more: Collection[str]) -> Serving:
    return cast(Serving, Machine(**more))


def test_layouts_that_the_machine_cannot_hold_are_not_tried() -> None:
    found = deployable(serving(fits=("2x2x8",)), outcomes(problem()), compiling=False)

    assert [one.size for one in found.outcomes] == ["2x2x8"]
    assert found.uncompiled == ()


def test_layouts_that_are_not_compiled_are_named_and_not_tried() -> None:
    found = deployable(serving(compiled=("2x2x8",)), outcomes(problem()), compiling=False)

    assert [one.size for one in found.outcomes] == ["2x2x8"]
    assert sorted(found.uncompiled) == ["1x4x8", "4x1x8"]


def test_layouts_that_will_be_compiled_are_tried() -> None:
    found = deployable(serving(compiled=()), outcomes(problem()), compiling=True)

    assert len(found.outcomes) == 3
    assert found.uncompiled == ()


def test_layout_that_the_planner_refuses_is_not_tried() -> None:
    refused = [replace(one, service=None, refusal="no room") for one in outcomes(problem())]

    assert deployable(serving(), refused, compiling=False).outcomes == ()


def test_layout_of_the_spec_does_not_limit_what_is_tried() -> None:
    spec = Spec.model_validate({"name": "mine", "layout": {"replicas": 2, "tp": 4}})
    found = tuned_spec(spec)

    assert (found.layout.replicas, found.layout.tp) == ("auto", "auto")
    assert (found.name, found.gateway.port) == ("tune-mine", 0)


@pytest.mark.parametrize(
    ("concurrency", "loads"),
    [
        pytest.param(None, {"4x1x8": 32, "2x2x8": 16, "1x4x8": 8}, id="all slots are taken"),
        pytest.param(12, dict.fromkeys(SIZES, 12), id="as many as the spec says"),
    ],
)
def test_each_layout_is_measured_once_at_its_load(
    concurrency: int | None, loads: dict[str, int]
) -> None:
    plan = sweep_plan(outcomes(problem()), concurrency=concurrency, requests=5, per_place=1, seed=7)

    assert {point.layout: point.concurrency for point in plan.points()} == loads
    assert visit_of(plan, "2x2x8").concurrencies == (loads["2x2x8"],)


def test_cores_are_measured_once_and_then_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measure(found: object, **_: object) -> object:
        asked.append("measured")
        return SHEET

    monkeypatch.setattr(cores, "measure_cpu", measure)
    first, second = cpu_sheet(machine(), tmp_path), cpu_sheet(machine(), tmp_path)

    assert first == second == SHEET
    assert asked == ["measured"]


def test_cores_of_another_machine_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sheet(tmp_path, SHEET)
    other = replace(SHEET, cores=2, busy=(1,), bytes_per_s=(1e9,), flops=(1e9,))
    monkeypatch.setattr(cores, "measure_cpu", lambda found, **_: other)

    assert cpu_sheet(machine(cores=2), tmp_path) == other
