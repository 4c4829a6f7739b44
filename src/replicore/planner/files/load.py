"""The calibrations that predictions start from: those that come with replicore, and the user's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import platformdirs

from replicore.planner.files.reading import parse_calibration, read_calibration
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.prediction.predictor import Predictor

FOLDER_VARIABLE = "REPLICORE_CALIBRATIONS_DIR"


def calibrations_folder() -> Path:
    """Return the folder of the user's own calibrations; it need not exist."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("replicore") / "calibrations"


@cache
def shipped() -> Predictor:
    """Return what replicore comes with."""
    folder = files("replicore.planner").joinpath("calibrations")
    texts = sorted((file.name, file) for file in folder.iterdir() if file.name.endswith(".toml"))
    records = [parse_calibration(file.read_text(encoding="utf-8"), name) for name, file in texts]
    return with_records(uncalibrated(), records)


def load_predictor(extra: Sequence[Path] = ()) -> Predictor:
    """Return what is known on this machine.

    For one device and engine the later goes before the earlier: what replicore comes with, the
    user's own folder by name, ``extra`` in its order.

    Raises:
        ConfigError: One of the files cannot be read, or is wrong.
    """
    own = sorted(calibrations_folder().glob("*.toml"))
    return with_records(shipped(), [read_calibration(path) for path in [*own, *extra]])


def with_records(predictor: Predictor, records: Sequence[CalibrationRecord]) -> Predictor:
    """Return a predictor that these records go before, and that their observations correct."""
    common = [record.calibration for record in records if record.key is None]
    named = {each.key: each for each in records if each.key is not None}
    own = dict(predictor.own) | {key: record.calibration for key, record in named.items()}
    observations = [seen for record in named.values() for seen in record.observations]
    calibrated = replace(predictor, common=(common or [predictor.common])[-1], own=own)
    return calibrated.learn(observations) if observations else calibrated
