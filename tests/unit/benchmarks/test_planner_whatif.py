"""Ratios of predictions against predictions: hand-worked pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.planner.rows import Row, read_rows, row_of
from benchmarks.planner.whatif import lines, pairs, whatif_report
from benchmarks.planner.whatif_points import MODES, Point, at_once_points, tpot_points
from replicore.planner.prediction.calibrate import calibrate, uncalibrated
from replicore.planner.step.traffic import Observation

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "planner_rows.csv"
needs_rows = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="the published rows are not in ../shared/data"
)

VALUES = {
    "row_id": "A1",
    "hardware": "NVIDIA H100 SXM 80GB",
    "model": "meta-llama/Llama-3.1-8B",
    "engine": "vllm",
    "load": "closed-loop",
    "tp": "1",
    "concurrency": "8",
    "input_len": "1000",
    "output_len": "200",
    "ttft_ms": "60",
    "tpot_ms": "9",
}


def row(**changes: str) -> Row:
    return row_of({**VALUES, **changes})


def point(case: str, tp: int, concurrency: float) -> Point:
    return Point(
        case=(case,), tp=tp, concurrency=concurrency, measured=1.0, predicted=(1.0,) * len(MODES)
    )


def seen(row: Row) -> Observation:
    assert row.observation is not None
    return row.observation


def twice_as_slow(row: Row) -> Row:
    """The row with twice the TPOT that is believed of it before any measurement."""
    tpot = uncalibrated().tpot([seen(row).case]).seconds[0]
    return row_of({**row.values, "tpot_ms": f"{2e3 * tpot:.6f}"})


def test_pairs_are_of_one_case_and_differ() -> None:
    points = [point("a", 1, 8), point("a", 2, 8), point("a", 2, 8), point("b", 4, 8)]

    found = [(first.tp, second.tp) for first, second in pairs(points)]

    assert sorted(found) == [(1, 2), (1, 2), (2, 1), (2, 1)]


def test_what_a_prediction_gets_wrong_of_both_cancels_out() -> None:
    rows = [twice_as_slow(row(tp=tp)) for tp in ("1", "2", "4")]

    found = whatif_report(rows)["pairs"]

    (alone,) = [each for each in found if each["of"] == "TPOT" and each["known"] == "prior only"]
    assert (alone["change"], alone["pairs"]) == ("tp", 6)
    assert alone["plain_median_percent"] == pytest.approx(50, rel=1e-4)
    assert alone["ratio_median_percent"] == pytest.approx(0, abs=1e-3)


def test_a_row_is_predicted_from_other_models_alone() -> None:
    rows = [row(), row(row_id="A2", model="Qwen/Qwen3-8B", tpot_ms="12")]

    predicted = [each.predicted[1] for each in tpot_points(rows)]

    expected = calibrate([seen(rows[1])]).tpot([seen(rows[0]).case]).seconds[0]
    assert predicted[0] == pytest.approx(expected)


def test_a_batch_that_was_sent_at_once_is_predicted_as_one() -> None:
    sent = row(row_id="K1", load="offline-all-at-once", ttft_ms="", tpot_ms="", out_tok_s="500")

    (found,) = at_once_points([sent])

    step = uncalibrated().tpot([seen(row()).case]).seconds[0]
    assert found.measured == 500
    assert found.predicted[0] == pytest.approx(8 / step)


def test_the_table_has_a_line_for_each_kind_of_pair() -> None:
    rows = [row(), row(row_id="A2", concurrency="16"), row(row_id="A3", tp="2")]

    told = "\n".join(lines(whatif_report(rows)))

    assert "TPOT" in told
    assert "tp and concurrency" in told


@needs_rows
def test_ratios_are_closer_than_predictions_that_were_not_calibrated() -> None:
    rows = [each for each in read_rows(PUBLISHED) if "H100" in each.values["hardware"]]

    found = [each for each in whatif_report(rows)["pairs"] if each["known"] == "prior only"]

    assert all(each["ratio_median_percent"] < each["plain_median_percent"] for each in found)
