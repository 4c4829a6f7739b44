"""The planner's accuracy: how it is measured, and on the published rows whether it is enough."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import planner_accuracy
from benchmarks.planner import bars
from benchmarks.planner.decisions import decisions, questions
from benchmarks.planner.online import coverage, figures, held_out, kind_of, predict
from benchmarks.planner.online import fitted as fitted_to
from benchmarks.planner.rows import Row, read_rows, row_of
from benchmarks.planner.splits import SPLITS
from tests.unit.benchmarks.planner_values import all_rows, all_values, values, write

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"
GATED = ("half held out", "one workload out", "one model out")

ROWS = all_rows()


@pytest.mark.parametrize("name", SPLITS)
def test_no_row_is_predicted_from_itself(name: str) -> None:
    for calibration, out in SPLITS[name](ROWS):
        assert not {id(row) for row in calibration} & {id(row) for row in out}


@pytest.mark.parametrize("name", ["5-fold", "one tp out", "one workload out"])
def test_every_row_is_held_out_once(name: str) -> None:
    out = [row.id for _, held in SPLITS[name](ROWS) for row in held]
    assert sorted(out) == sorted(row.id for row in ROWS)


def test_only_model_cannot_be_left_out() -> None:
    assert list(SPLITS["one model out"](ROWS)) == []


def test_rows_of_known_factors_are_predicted_well() -> None:
    (tpot, *_) = figures("5-fold", held_out(SPLITS["5-fold"], ROWS))
    assert (tpot["metric"], tpot["predictions"]) == ("TPOT", len(ROWS))
    assert isinstance(tpot["median"], float)
    assert tpot["median"] < 0.03


def test_errors_are_shares_of_what_was_measured() -> None:
    (prediction,) = predict(fitted_to(ROWS), [row_of(values(tpot_ms="1000"))])
    error, _ = prediction.log_errors()["TPOT"]
    assert np.exp(error) == pytest.approx(prediction.tpot_s / 1.0)


def test_reported_throughput_is_what_is_compared_with() -> None:
    reported = row_of(values(out_tok_s="500", out_tok_s_basis="reported"))
    (prediction,) = predict(fitted_to(ROWS), [reported])
    error, _ = prediction.log_errors()["throughput"]
    assert np.exp(error) == pytest.approx(prediction.tok_s / 500)


def test_coverage_counts_refusals_by_their_reason() -> None:
    found = coverage([*ROWS, row_of(values(pp="2")), row_of(values(pp="4"))])
    assert (found["rows"], found["answered"]) == (len(ROWS) + 2, len(ROWS))
    assert found["refused"] == {"pipeline parallel": 2}


def test_row_of_the_calibration_is_left_out_of_it_where_it_is_predicted() -> None:
    asked = ROWS[:5]
    known = planner_accuracy.calibration_for(asked, ROWS)
    assert [row.id for row in known] == [row.id for row in ROWS[5:]]


def test_row_of_the_same_name_and_other_values_is_calibrated_on() -> None:
    other = row_of({**values(), "tpot_ms": "99"})
    assert planner_accuracy.calibration_for([row_of(values())], [other]) == [other]


def test_rows_that_are_calibrated_on_too_are_predicted_from_the_others() -> None:
    found = planner_accuracy.closed_loop_report(ROWS, ROWS)
    (tpot, *_) = found["errors"]
    assert found["also calibrated on"] == tpot["predictions"] == len(ROWS)
    assert 0 < tpot["median"] < 0.03


def test_questions_have_candidates_on_both_sides_of_the_limit() -> None:
    for question in questions(ROWS):
        assert len(question.candidates) >= 3
        assert 0 < question.meets.sum() < len(question.candidates)


def test_choices_become_better_with_runs() -> None:
    found = [row for row in decisions(ROWS) if row["policy"] == bars.POLICY]
    value = [row["value"] for row in found]
    assert [row["runs"] for row in found] == [0, 1, 2, 3]
    assert isinstance(value[-1], float)
    assert value[-1] > 0.95


def test_bar_without_a_figure_is_missed() -> None:
    assert len(list(bars.missed([], []))) == len(bars.ERRORS) + 2 * len(bars.DECISIONS)


def test_bar_is_missed_by_a_worse_figure_only() -> None:
    told = {"split": "half held out", "models": "dense", "hardware": "all", "metric": "TPOT"}
    sentences = list(bars.missed([{**told, "median": 0.05, "p90": 0.18}], []))
    assert "half held out: TPOT p90 is 0.18, at most 0.17 is wanted" in sentences
    assert not any("half held out: TPOT median" in sentence for sentence in sentences)


def test_command_predicts_one_file_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = list(all_values())
    asked, known = write(tmp_path / "a.csv", every[:6]), write(tmp_path / "b.csv", every)
    out = tmp_path / "found.json"
    argv = ["x", "--rows", str(asked), "--calibrate", str(known), "--json", str(out)]
    monkeypatch.setattr(sys, "argv", argv)

    assert planner_accuracy.main() == 0
    assert "6 of 6 rows answered" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["rows"][0]["split"] == "given calibration"
    assert found["settings"]["coverage"]["answered"] == 6


def test_check_fails_where_a_bar_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", list(all_values()))
    monkeypatch.setattr(sys, "argv", ["x", "--rows", str(path), "--check"])

    assert planner_accuracy.main() == 1
    assert "one model out: TPOT median is None" in capsys.readouterr().err


def test_files_are_told_apart_by_their_columns(tmp_path: Path) -> None:
    memory = write(tmp_path / "m.csv", [{"row_id": "Y1", "weights_gib_per_rank": "1"}])
    neuron = write(tmp_path / "n.csv", [{"row_id": "2", "sdk_version": "2.18"}])
    assert planner_accuracy.kind_of_file(memory) == "memory"
    assert planner_accuracy.kind_of_file(neuron) == "neuron"
    assert planner_accuracy.kind_of_file(write(tmp_path / "r.csv", [values()])) == "rows"


@pytest.fixture(name="published", scope="module")
def published_dense_rows() -> list[Row]:
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED.name} is not in ../shared/data")
    rows = [row for row in read_rows(PUBLISHED) if row.table == "A"]
    return [row for row in rows if row.observation is not None and kind_of(row) == "dense"]


@pytest.mark.slow
def test_published_rows_are_predicted_and_chosen_among_as_well_as_promised(
    published: list[Row],
) -> None:
    errors = [row for name in GATED for row in figures(name, held_out(SPLITS[name], published))]
    assert list(bars.missed(errors, decisions(published))) == []


@pytest.mark.slow
def test_intervals_of_published_rows_hold_the_truth_about_as_often_as_they_say(
    published: list[Row],
) -> None:
    found = figures("one workload out", held_out(SPLITS["one workload out"], published))
    for metric in ("TPOT", "TTFT"):
        (row,) = (r for r in found if (r["metric"], r["hardware"]) == (metric, "all"))
        assert isinstance(row["within_80"], float)
        assert 0.70 <= row["within_80"] <= 0.92
