"""Which calibration predictions start from."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import pytest

from replicore.errors import ConfigError
from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.files.load import (
    FOLDER_VARIABLE,
    calibrations_folder,
    load_predictor,
    shipped,
    with_records,
)
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.traffic import Case, Observation, Traffic

MODEL = Anatomy(
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    intermediate=14_336,
)
CASE = Case(
    replica=Replica(
        device=devices()["h100"], engine="vllm", anatomy=MODEL, precision=Precision(), tp=1
    ),
    traffic=Traffic(input_tokens=1000.0, output_tokens=200.0, concurrency=16.0),
)
KEY = ("h100", "vllm")


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "own"))
    return tmp_path / "own"


def slower(times: float, *, observations: tuple[Observation, ...] = ()) -> CalibrationRecord:
    """A calibration by which every part takes so many times what is believed of it."""
    usual = uncalibrated().common
    tpot = replace(usual.tpot, log=usual.tpot.log + log(times))
    return CalibrationRecord(
        key=KEY,
        calibration=replace(usual, tpot=tpot),
        made_on="2026-11-23",
        made_by="replicore 0",
        observations=observations,
    )


def tpot_s(predictor: Predictor) -> float:
    return float(predictor.tpot([CASE]).seconds[0])


def test_an_empty_folder_leaves_what_is_shipped() -> None:
    assert load_predictor() == shipped()


def test_the_users_calibration_goes_before_the_shipped_one(folder: Path) -> None:
    write_calibration(folder / "h100-vllm.toml", slower(3.0))

    assert tpot_s(load_predictor()) == pytest.approx(3 * tpot_s(uncalibrated()), rel=1e-5)


def test_a_file_that_is_named_goes_before_the_users_folder(folder: Path, tmp_path: Path) -> None:
    write_calibration(folder / "h100-vllm.toml", slower(3.0))
    write_calibration(tmp_path / "other.toml", slower(5.0))

    predictor = load_predictor([tmp_path / "other.toml"])

    assert tpot_s(predictor) == pytest.approx(5 * tpot_s(uncalibrated()), rel=1e-5)


def test_another_device_keeps_what_is_shipped(folder: Path) -> None:
    write_calibration(folder / "h100-vllm.toml", slower(3.0))

    own = load_predictor().own

    assert {key: own[key] for key in own if key != KEY} == {
        key: each for key, each in shipped().own.items() if key != KEY
    }


def test_observations_of_a_file_correct_what_is_predicted_of_their_case() -> None:
    measured = 2 * tpot_s(uncalibrated())
    seen = Observation(case=CASE, tpot_s=measured)

    predictor = with_records(uncalibrated(), [slower(1.0, observations=(seen,))])

    assert tpot_s(predictor) == pytest.approx(measured, rel=0.2)


def test_a_record_without_a_device_is_of_all_that_have_none() -> None:
    common = replace(slower(4.0), key=None)

    assert with_records(uncalibrated(), [common]).common == common.calibration


def test_the_folder_is_the_variables_where_it_is_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calibrations_folder() == folder

    monkeypatch.delenv(FOLDER_VARIABLE)

    assert calibrations_folder().name == "calibrations"


def test_a_broken_file_in_the_folder_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.toml").write_text("format = 1")

    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_predictor()
