"""What replicore comes with is what the published rows say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.planner.rows import Row, read_rows, row_of
from benchmarks.planner.ship import FOLDER, fitted, ship
from replicore.planner.files.load import shipped
from replicore.planner.files.reading import read_calibration
from replicore.planner.prediction.calibration import Calibration

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
    "source": "a table",
}


def rows(*tpot_ms: float) -> list[Row]:
    return [row_of({**VALUES, "tpot_ms": f"{each}"}) for each in tpot_ms]


def test_each_device_and_engine_gets_a_file(tmp_path: Path) -> None:
    paths = ship(rows(8.0, 9.0, 10.0), tmp_path, day="2026-11-23")

    assert [path.name for path in paths] == ["common.toml", "h100-vllm.toml"]
    assert read_calibration(paths[1]).key == ("h100", "vllm")
    assert read_calibration(paths[1]).calibration.rows == 3


def test_a_file_names_its_source_and_no_row(tmp_path: Path) -> None:
    path = ship(rows(8.0, 9.0), tmp_path, day="2026-11-23")[1]

    assert read_calibration(path).calibration.source == "a table"
    assert read_calibration(path).made_on == "2026-11-23"
    assert read_calibration(path).observations == ()


def test_rows_that_are_no_observations_change_nothing() -> None:
    refused = row_of({**VALUES, "hardware": "an abacus"})

    assert fitted([*rows(8.0), refused]).own.keys() == fitted(rows(8.0)).own.keys()


def test_a_table_whose_prompts_were_cached_is_left_out() -> None:
    # 64 prompts of 4000 tokens in 0.4 s are 10 PFLOP/s.
    values = {**VALUES, "engine": "sglang", "concurrency": "64", "input_len": "4000"}
    cached = row_of({**values, "tpot_ms": "1.5", "output_len": "200"})

    assert fitted([*rows(8.0), cached]).own.keys() == {("h100", "vllm")}


def test_every_shipped_file_is_read_and_named_after_its_key() -> None:
    for path in FOLDER.glob("*.toml"):
        record = read_calibration(path)

        assert path.stem == ("common" if record.key is None else "-".join(record.key))
        assert record.calibration.source


@needs_rows
def test_the_shipped_calibrations_are_those_of_the_published_rows() -> None:
    predictor = fitted(read_rows(PUBLISHED))

    assert_same(shipped().common, predictor.common)
    for key, calibration in predictor.own.items():
        assert_same(shipped().own[key], calibration)


def assert_same(one: Calibration, other: Calibration) -> None:
    for a, b in ((one.tpot, other.tpot), (one.ttft, other.ttft)):
        assert a.values == pytest.approx(b.values, rel=1e-3)
        assert np.diag(a.covariance) == pytest.approx(np.diag(b.covariance), rel=0.05, abs=1e-4)
