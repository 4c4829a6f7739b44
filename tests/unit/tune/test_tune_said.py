"""What tuning says while it goes on, and in the end: sentences, table and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from replicore.bench.stats.objectives import Objectives
from replicore.planner.plan import Forecast
from replicore.planner.question import Slo
from replicore.tune import loop
from replicore.tune.belief import Belief, Problem
from replicore.tune.document import SCHEMA, tune_document
from replicore.tune.loop import End, Stop
from replicore.tune.said import (
    about_cores,
    believed,
    chance,
    economy,
    error_of,
    headline,
    measured,
    notes,
    predicted,
    uncompiled,
    unproven,
    why_next,
)
from replicore.tune.table import trials_table
from replicore.tune.tuned import Trial, Tuned
from tests.unit.hardware.test_cpu_sheet import SHEET
from tests.unit.tune.made import SIZES, cells, problem, run_of

SPENT = Stop(end=End.SPENT, why="the budget of 1 run is spent")
FOUND = Stop(end=End.FOUND, why="no unmeasured layout is better with a probability above 5%")
TIGHT = Objectives(tpot_s=0.001)


def belief_of(found: Problem, *runs: Any, slo: Objectives | None = None) -> Belief:
    belief = found.believe(cells(found, list(runs), slo))
    assert belief is not None
    return belief


def tuned(*runs: Any, stop: Stop = SPENT, slo: Objectives | None = None, **more: Any) -> Tuned:
    found = problem(slo=Slo(tpot_p99_s=slo.tpot_s) if slo else None)
    made = cells(found, list(runs), slo)
    before = {one.size: one for one in belief_of(found).candidates}
    return Tuned(
        problem=found,
        trials=tuple(Trial(predicted=before[one.layout], cell=one) for one in made),
        belief=found.believe(made),
        failed=more.pop("failed", {}),
        stop=stop,
        **more,
    )


def trial(rate: float = 100.0) -> Trial:
    (one,) = tuned(run_of("2x2x8", rate, ttft_s=0.1, tpot_s=0.02)).trials
    service = replace(
        one.predicted.service,
        tokens_per_s=Forecast(value=80.0, low=60.0, high=110.0),
        ttft_s=Forecast(value=0.2, low=0.1, high=0.4),
        tpot_s=Forecast(value=0.02, low=0.01, high=0.04),
    )
    return replace(one, predicted=replace(one.predicted, service=service))


def document(found: Tuned) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(tune_document(found, command=["replicore", "tune"]))
    return read


def test_prediction_is_said_with_its_interval() -> None:
    assert predicted(trial().predicted) == (
        "80.0 (60.0–110) output tok/s, TTFT 200 (100–400), TPOT 20.0 (10.0–40.0) ms"
    )


def test_measurement_is_said_with_its_distance_from_the_prediction() -> None:
    assert measured(trial()) == (
        "100 output tok/s (+25%), TTFT 100 (-50%), TPOT 20.0 (+0%) ms; meets the objectives"
    )


def test_error_is_of_what_was_predicted_and_known() -> None:
    forecast = Forecast(value=80.0, low=60.0, high=110.0)

    assert error_of(60.0, forecast) == -0.25
    assert error_of(None, forecast) is None
    assert error_of(60.0, None) is None


def test_run_that_broke_a_limit_says_which() -> None:
    (late,) = tuned(run_of("2x2x8", tpot_s=0.02), slo=TIGHT).trials

    assert measured(late).endswith("0% within the TPOT limit, not 99%")


def test_first_run_is_of_the_best_that_is_believed() -> None:
    belief = belief_of(problem())
    step = loop.Run(candidate=belief.pick, beats=1.0)

    assert why_next(step, belief) == "the best that is believed to meet the objectives"


def test_next_run_says_what_it_may_be_better_than() -> None:
    belief = belief_of(problem(), run_of("1x4x8", 123.0))
    step = loop.Run(candidate=belief.candidates[0], beats=0.314)

    assert why_next(step, belief) == "31% likely to be better than 1x4x8 (123 output tok/s)"


def test_belief_is_said_as_measured_or_as_believed() -> None:
    every = belief_of(problem(), *(run_of(size, 100.0) for size in SIZES))

    assert believed(every).endswith("is the best, and measured")
    first, second = problem(), belief_of(problem(), run_of("1x4x8", 0.1, tpot_s=0.01))
    assert " is the best, not measured yet: " in believed(belief_of(first))
    assert " is better than 1x4x8 (0.100): " in believed(second)


def test_chance_is_never_none_and_never_all() -> None:
    assert [chance(p) for p in (0.0, 0.314, 0.999)] == ["< 1%", "31%", "> 99%"]


def test_headline_names_the_layout_and_why_it_is_enough() -> None:
    found = tuned(*(run_of(size, rate) for size, rate in zip(SIZES, (1, 2, 3), strict=True)))

    assert headline(replace(found, stop=FOUND)) == (
        f"use {SIZES[2]}: 3.00 output tok/s measured; {FOUND.why}"
    )


def test_headline_of_a_spent_budget_says_what_may_be_better() -> None:
    said = headline(tuned(run_of("1x4x8", 10.0, tpot_s=0.01)))

    assert said.startswith("use 1x4x8: 10.0 output tok/s measured; the budget of 1 run is spent")
    assert " may be better with " in said


def test_headline_without_a_layout_that_meets_names_the_closest() -> None:
    said = headline(tuned(run_of("2x2x8", tpot_s=0.02), slo=TIGHT))

    assert said.startswith("no layout that was measured meets the objectives; closest: 2x2x8 at 16")


def test_headline_without_a_run_says_that_nothing_was_measured() -> None:
    assert headline(tuned()).startswith("nothing was measured; ")
    assert headline(replace(tuned(), belief=None)).startswith("no layout could be used: ")


def test_a_layout_that_nothing_may_beat_is_proven() -> None:
    spent = tuned(run_of("1x4x8", 10.0, tpot_s=0.01))

    assert " may be better with " in unproven(spent)
    assert unproven(replace(spent, stop=FOUND)) == ""
    assert unproven(replace(spent, belief=None)) == ""


def test_economy_counts_failed_layouts_too() -> None:
    assert economy(tuned(run_of("2x2x8"))) == "1 of 3 layouts was run"
    assert economy(tuned(run_of("2x2x8"), failed={"8x1x8": "no"})) == "1 of 4 layouts was run"


def test_notes_tell_of_failures_simulators_and_doubtful_runs() -> None:
    doubtful = run_of("2x2x8", verdict="CLIENT-BOUND")

    assert notes(tuned(doubtful, failed={"4x1x8": "no memory"}, simulated=True)) == [
        "4x1x8 failed: no memory",
        "simulated: these numbers are of no real engine",
        "the run of 2x2x8 is CLIENT-BOUND; its own file says why",
    ]


def test_cores_are_told_with_the_day_of_their_measurement() -> None:
    assert about_cores(SHEET) == (
        "Fast CPU, 4 cores: 20.0 GB/s from memory with one core, 40.0 with all, 100 GFLOP/s a "
        "core, all-reduce 10.0 us (measured 2026-11-23)"
    )


def test_layouts_that_are_not_compiled_are_told_with_the_way_out() -> None:
    assert uncompiled(["2x2x8", "4x1x8"]) == (
        "2 layouts left out, such as 2x2x8: not compiled; --compile tries them too"
    )


def test_table_has_a_row_for_each_run() -> None:
    console = Console(width=140, record=True)
    console.print(trials_table(replace(tuned(), trials=(trial(),))))
    shown = console.export_text()

    assert "2x2x8 at 16" in shown
    assert "80.0 → 100 (+25%)" in shown
    assert "200 → 100 (-50%)" in shown


def test_document_has_predicted_measured_and_error_of_each_run() -> None:
    found = document(replace(tuned(run_of("2x2x8", 100.0)), trials=(trial(),)))
    (run,) = found["runs"]

    assert (found["schema"], found["command"]) == (SCHEMA, ["replicore", "tune"])
    assert run["predicted"]["output_tokens_per_s"] == {"value": 80.0, "low": 60.0, "high": 110.0}
    assert run["measured"]["output_tokens_per_s"] == 100.0
    assert run["error"] == pytest.approx(
        {"output_tokens_per_s": 0.25, "ttft_s": -0.5, "tpot_s": 0.0}
    )


def test_document_names_the_layout_to_use() -> None:
    found = document(tuned(run_of("2x2x8", 100.0)))

    assert found["layout"] == {
        "size": "2x2x8",
        "replicas": 2,
        "tp": 2,
        "batch_size": 8,
        "output_tokens_per_s": 100.0,
    }
    assert {one["size"]: one["measured"] for one in found["layouts"]} == {
        size: size == "2x2x8" for size in SIZES
    }


def test_document_without_a_layout_has_none() -> None:
    found = document(replace(tuned(), belief=None))

    assert (found["layout"], found["layouts"], found["end"]) == (None, [], "spent")
