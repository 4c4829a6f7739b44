"""The calibration of llama.cpp on a CPU is that of our own checked-in measurement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.planner.ship_cpu import KEY, MEASURED, observations, ship
from replicore.planner.files.load import shipped
from replicore.planner.files.reading import read_calibration

CELL = {"in_flight": 4, "ttft_p50_s": 0.7, "tpot_p50_s": 0.07}
RESULT = {
    "command": "python -m benchmarks.dp_vs_tp",
    "date": "2026-11-23T19:31:11+00:00",
    "hardware": {"cpu": "AMD EPYC", "cores": 2, "memory_bytes": 1},
    "rows": [
        {"engine": "vllm", "1x2": CELL},
        {"engine": "llamacpp", "batch": 4, "1x2": CELL, "2x1": CELL},
        {"engine": "llamacpp", "batch": 8, "1x2": CELL, "2x1": CELL | {"in_flight": 1}},
    ],
}


def test_every_layout_and_load_of_llamacpp_is_an_observation_once() -> None:
    cases = [seen.case for seen in observations(RESULT)]

    # 4 requests over 2 replicas are 2 for each; a single one leaves the other replica idle.
    assert [(case.replica.tp, case.traffic.concurrency) for case in cases] == [
        (2, 4.0),
        (1, 1.0),
        (1, 2.0),
    ]
    assert {case.replica.engine for case in cases} == {"llamacpp"}


def test_the_file_tells_what_it_was_measured_on(tmp_path: Path) -> None:
    record = read_calibration(ship(RESULT, tmp_path, day="2026-11-23"))

    assert record.key == KEY
    assert record.calibration.rows == 3
    assert "2 cores of AMD EPYC" in record.calibration.source


def test_the_shipped_calibration_is_that_of_the_checked_in_result(tmp_path: Path) -> None:
    path = ship(json.loads(MEASURED.read_text()), tmp_path, day="2026-11-23")

    made = read_calibration(path).calibration
    assert shipped().own[KEY].tpot.values == pytest.approx(made.tpot.values, rel=1e-3)
    assert shipped().own[KEY].ttft.values == pytest.approx(made.ttft.values, rel=1e-3)
