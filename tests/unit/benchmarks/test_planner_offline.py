"""Offline throughput and the choice of tp, on rows that are made up and on the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planner.offline import BARS, SPLITS, lines, offline_report
from benchmarks.planner.offline_fit import (
    GRID,
    USUAL,
    Group,
    Held,
    held_out,
    nested,
    predicted,
    usual,
)
from benchmarks.planner.offline_rows import OfflineRun, offline_runs
from benchmarks.planner.rows import Row, read_rows, row_of
from benchmarks.planner.tp_choice import achieved
from replicore.planner.prediction import priors

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"
needs_rows = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the published rows are not in ../shared/data"
)

VALUES = {
    "hardware": "NVIDIA H100 SXM 80GB",
    "model": "meta-llama/Llama-3.1-8B",
    "precision": "fp8",
    "engine": "TensorRT-LLM",
    "engine_version": "0.17",
    "load": "offline-all-at-once",
    "input_len": "1000",
    "output_len": "1000",
    "out_tok_s": "9000",
}
LENGTHS = (("1000", "1000"), ("128", "128"), ("2048", "2048"))


def row(row_id: str, **changes: str) -> Row:
    return row_of({**VALUES, "row_id": row_id, "tp": "1", **changes})


def believed_rows() -> list[Row]:
    """Rows that are as fast as is believed before any was measured."""
    rows = [
        row(f"B{tp}{prompt}", tp=tp, input_len=prompt, output_len=output)
        for prompt, output in LENGTHS
        for tp in ("1", "2", "4", "8")
    ]
    seconds = [run.terms(USUAL) @ priors.TPOT.factors.values for run in runs_of(rows)]
    return [
        row_of({**each.values, "out_tok_s": f"{1 / cost:.3f}"})
        for each, cost in zip(rows, seconds, strict=True)
    ]


def runs_of(rows: list[Row]) -> list[OfflineRun]:
    return offline_runs(rows)[0]


def test_rows_of_other_tables_are_no_offline_runs() -> None:
    runs = runs_of([row("A1"), row("B1"), row("C1"), row("E1")])

    assert [run.id for run in runs] == ["B1", "E1"]


def test_rows_that_cannot_be_predicted_are_counted_by_reason() -> None:
    refused = offline_runs([row("B1", pp="2"), row("B2", out_tok_s=""), row("B3", pp="4")])[1]

    assert refused == {"pipeline parallel": 2, "no throughput": 1}


def test_without_training_runs_the_beliefs_predict() -> None:
    runs = runs_of(believed_rows())

    tok_s = predicted([], runs, USUAL)

    assert tok_s == pytest.approx([run.tok_s for run in runs], rel=1e-4)


def test_no_run_is_predicted_from_one_of_its_own_group() -> None:
    runs = runs_of(believed_rows())
    trained: list[tuple[set[object], set[object]]] = []

    def predict(train: Sequence[OfflineRun], test: Sequence[OfflineRun], group: Group) -> Held:
        trained.append(({run.lengths for run in train}, {run.lengths for run in test}))
        return usual(train, test, group)

    held_out(runs, lambda run: run.lengths, predict)

    assert len(trained) == len(LENGTHS)
    assert all(not inside & outside for inside, outside in trained)


def test_settings_are_chosen_without_the_runs_that_are_predicted() -> None:
    runs = runs_of(believed_rows())
    train, test = runs[:8], runs[8:]

    one = nested(train, test, lambda run: run.lengths)
    other = nested(train, test[:1], lambda run: run.lengths)

    assert one.settings == other.settings
    assert one.settings[0] in GRID


def test_the_pick_is_judged_by_what_was_measured_per_core() -> None:
    runs = runs_of(
        [row(f"B{tp}", tp=tp, out_tok_s=tok_s) for tp, tok_s in (("1", "90"), ("2", "200"))]
        + [row("B4", tp="4", out_tok_s="320")]
    )

    (pick,) = achieved(runs, np.array([100.0, 150.0, 380.0]))

    # 100, 75 and 95 are predicted per core; 90, 100 and 80 were measured.
    assert (pick.tp, pick.best_tp, pick.achieved) == (1, 2, 0.9)


def test_two_degrees_are_no_choice() -> None:
    runs = runs_of([row("B1"), row("B2", tp="2")])

    assert achieved(runs, np.array([1.0, 1.0])) == []


def test_rows_as_fast_as_believed_are_predicted_and_chosen_without_error() -> None:
    report = offline_report(believed_rows())["B"]

    errors = {each["split"]: each["mean_percent"] for each in report["throughput"]}
    chosen = {each["policy"]: each["mean"] for each in report["decisions"]}
    assert set(errors) == set(SPLITS)
    assert max(errors.values()) < 2
    assert chosen["prior only"] == 1.0
    assert chosen["largest tp"] < 1.0


def test_given_calibration_rows_leave_out_those_that_are_predicted() -> None:
    rows = believed_rows()

    alone = offline_report(rows, calibration=rows)["B"]["throughput"]
    untrained = offline_report(rows, calibration=[])["B"]["throughput"]

    assert alone == untrained


def test_the_table_has_a_line_for_each_policy() -> None:
    told = "\n".join(lines(offline_report(believed_rows(), calibration=[])))

    assert "the calibration given" in told
    assert "smallest tp that fits" in told
    assert "/3 exact" in told


@needs_rows
def test_the_published_choices_are_within_the_bars() -> None:
    runs = [run for run in runs_of(read_rows(PUBLISHED)) if run.id.startswith("B")]

    for group in SPLITS.values():
        shares = [each.achieved for each in achieved(runs, held_out(runs, group, usual).tok_s)]

        assert np.mean(shares) >= BARS["mean"]
        assert min(shares) >= BARS["worst"]
