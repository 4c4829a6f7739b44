"""The calibrations that predictions start from: those that come with replicore, and the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import platformdirs

from replicore.planner.files.reading import parse_calibration, read_calibration
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.prediction.calibration import Calibration, Key
from replicore.planner.prediction.predictor import Predictor

_FOLDER = files("replicore.planner").joinpath("calibrations")

# What all engines and devices have in common.
_COMMON = "common.toml"

FOLDER_VARIABLE = "REPLICORE_CALIBRATIONS_DIR"


def calibrations_folder() -> Path:
    """Return the folder of the user's own calibrations; it need not exist."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("replicore") / "calibrations"


class _Shipped(Mapping[Key, Calibration]):
    """The calibrations that replicore comes with, each read when it is asked for.

    A file is called what its key is.
    """

    def __init__(self) -> None:
        files = [file for file in _FOLDER.iterdir() if file.name.endswith(".toml")]
        self._files = {file.name: file for file in files if file.name != _COMMON}
        self._read: dict[str, CalibrationRecord] = {}

    def __getitem__(self, key: Key) -> Calibration:
        name = f"{'-'.join(key)}.toml"
        if name not in self._files:
            raise KeyError(key)
        return self._record(name).calibration

    def __iter__(self) -> Iterator[Key]:
        keys = (self._record(name).key for name in sorted(self._files))
        return (key for key in keys if key is not None)

    def __len__(self) -> int:
        return len(self._files)

    def _record(self, name: str) -> CalibrationRecord:
        if name not in self._read:
            text = self._files[name].read_text(encoding="utf-8")
            self._read[name] = parse_calibration(text, name)
        return self._read[name]


@cache
def shipped() -> Predictor:
    """Return what replicore comes with."""
    common = parse_calibration(_FOLDER.joinpath(_COMMON).read_text(encoding="utf-8"), _COMMON)
    return Predictor(common=common.calibration, own=_Shipped())


def load_predictor(
    extra: Sequence[Path] = (), *, known: Sequence[CalibrationRecord] = ()
) -> Predictor:
    """Return what is known on this machine.

    For one device and engine the later goes before the earlier: what replicore comes with,
    ``known``, the user's own folder by name, ``extra`` in its order.

    Raises:
        ConfigError: One of the files cannot be read, or is wrong.
    """
    own = sorted(calibrations_folder().glob("*.toml"))
    return with_records(shipped(), [*known, *map(read_calibration, [*own, *extra])])


def with_records(predictor: Predictor, records: Sequence[CalibrationRecord]) -> Predictor:
    """Return a predictor that these records go before, and that their observations correct."""
    common = [record.calibration for record in records if record.key is None]
    named = {each.key: each for each in records if each.key is not None}
    own = {key: record.calibration for key, record in named.items()}
    observations = [seen for record in named.values() for seen in record.observations]
    if common:
        predictor = replace(predictor, common=common[-1])
    if own:
        predictor = replace(predictor, own={**predictor.own, **own})
    return predictor.learn(observations) if observations else predictor
