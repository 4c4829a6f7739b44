"""What a tuning prints while it goes on."""

from __future__ import annotations

import io

from rich.console import Console

from replicore.bench.sweep.entries import Failed
from replicore.cli.tune_view import TuneView
from replicore.tune import loop
from replicore.tune.budget import Budget
from replicore.tune.loop import End
from replicore.tune.tuned import Trial
from tests.unit.hardware.test_cpu_sheet import SHEET
from tests.unit.tune.made import cells, problem, run_of


def view() -> tuple[TuneView, io.StringIO]:
    out = io.StringIO()
    return TuneView(console=Console(file=out, width=200, highlight=False, soft_wrap=True)), out


def test_run_is_announced_with_what_is_predicted_of_it() -> None:
    shown, out = view()
    belief = problem().believe()
    assert belief is not None
    shown.deciding(loop.Run(candidate=belief.pick, beats=1.0), [], belief)
    first, second = out.getvalue().splitlines()

    assert first.startswith(f"run 1: {belief.pick.size}, ")
    assert second.startswith("  predicted: ")


def test_run_is_told_with_what_is_believed_after_it() -> None:
    shown, out = view()
    found = problem()
    before, made = found.believe(), cells(found, [run_of("2x2x8", 100.0)])
    assert before is not None
    shown.tried(Trial(predicted=before.pick, cell=made[0]), found.believe(made))
    first, second = out.getvalue().splitlines()

    assert first.startswith("  measured: 100 output tok/s")
    assert second.startswith("  believed now: ")


def test_end_budget_failures_and_cores_are_told() -> None:
    shown, out = view()
    shown.cores(SHEET)
    shown.measuring_cores("arithmetic")
    shown.begin(17, 2, Budget(runs=6))
    shown.failed(Failed(layout="2x2x8", repeat=0, message="no memory"))
    shown.deciding(loop.Stop(end=End.SPENT, why="the budget of 6 runs is spent"), [], None)

    assert out.getvalue().splitlines()[1:] == [
        "measuring arithmetic",
        "17 layouts can be run here; budget: 6 runs; 2 runs made before",
        "  2x2x8 is left out: no memory",
        "done: the budget of 6 runs is spent",
    ]
