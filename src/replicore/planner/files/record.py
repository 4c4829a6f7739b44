"""What a calibration file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replicore.hardware.device import Device
from replicore.models.anatomy import Anatomy
from replicore.planner.prediction.calibration import Calibration, Key
from replicore.planner.step.traffic import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRecord:
    """A calibration with where it is from, and the measurements that came with it.

    Attributes:
        key: Device and engine; None for what all of them have in common.
        made_on: Day, as ``2026-11-23``.
        made_by: Tool and its version, as ``replicore 0.1.0``.
        sheet: Data sheet of a device that is not in the catalogue, or was measured.
        observations: Runs on this device and engine that correct predictions of cases like them.
        models: Names, for people, of the models of the observations; any may be left out.
    """

    key: Key | None
    calibration: Calibration
    made_on: str
    made_by: str
    sheet: Device | None = None
    observations: tuple[Observation, ...] = ()
    models: Mapping[str, Anatomy] = field(default_factory=dict)
