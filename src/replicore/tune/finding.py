"""What tuning leaves behind: the calibration of this machine, and the layout in the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from replicore import __version__
from replicore.errors import ConfigError
from replicore.files import write_atomically
from replicore.hardware.device import Device
from replicore.planner.files.load import calibrations_folder, shipped, with_records
from replicore.planner.files.reading import read_calibration
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.plan import Outcome
from replicore.planner.prediction.calibration import Key, key_of
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.traffic import Observation, newest
from replicore.tune.refit import refitted
from replicore.tune.spec_text import with_layout

_OWN_SOURCE = "replicore tune on this machine"
_THEN = "; then "


def calibration_path(key: Key) -> Path:
    """Return the file of this machine's own calibration of an engine on a device."""
    device, engine = key
    return calibrations_folder() / f"{device}-{engine}.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What was known when a tuning began.

    Attributes:
        before: The calibration that this tuning is going to replace; None where there was none.
    """

    predictor: Predictor
    before: CalibrationRecord | None = None

    @property
    def remembered(self) -> tuple[Observation, ...]:
        return () if self.before is None else self.before.observations


def known_before(copy: Path, key: Key, *, fresh: bool) -> Start:
    """Return what was known when a tuning began.

    Args:
        copy: Where the calibration of ``key`` is kept as it was then: what the tuning writes must
            not be what it starts from when it is resumed.
        fresh: Whether it begins now.

    Raises:
        ConfigError: A calibration cannot be read, or the copy cannot be written.
    """
    own = calibration_path(key)
    if fresh:
        _keep(own, copy)
    others = [path for path in sorted(calibrations_folder().glob("*.toml")) if path != own]
    records = [read_calibration(path) for path in others]
    before = read_calibration(copy) if copy.exists() else None
    known = records if before is None else [*records, before]
    return Start(predictor=with_records(shipped(), known), before=before)


def _keep(own: Path, copy: Path) -> None:
    try:
        copy.unlink(missing_ok=True)
        if own.exists():
            write_atomically(copy, own.read_bytes())
    except OSError as error:
        raise ConfigError(f"{copy}: cannot be written: {error.strerror or error}") from error


def write_finding(start: Start, seen: Sequence[Observation], *, model: str) -> Path:
    """Write the calibration that follows from observations of one engine and device.

    Args:
        seen: At least one, all with TPOT.
        model: Name of their model, for people.

    Raises:
        ConfigError: It cannot be written.
    """
    key = key_of(seen[0].case)
    calibration = refitted(start.predictor, key, seen)
    now = datetime.now(UTC).date().isoformat()
    kept = newest([*start.remembered, *seen])
    sheet = _sheet(kept)
    models = {} if start.before is None else start.before.models
    record = CalibrationRecord(
        key=key,
        calibration=replace(calibration, source=_source(start.predictor, key, now)),
        made_on=now,
        made_by=f"replicore {__version__}",
        sheet=sheet,
        observations=tuple(one for one in kept if one.case.replica.device == sheet),
        models={**models, model: seen[0].case.replica.anatomy},
    )
    path = calibration_path(key)
    try:
        write_calibration(path, record)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _source(start: Predictor, key: Key, today: str) -> str:
    """Return where the factors are from: what they were drawn from first, and this machine."""
    own = f"{_OWN_SOURCE}, {today}"
    before = start.own[key].source if key in start.own else ""
    return f"{before.partition(_THEN)[0]}{_THEN}{own}" if _is_foreign(before) else own


def _is_foreign(source: str) -> bool:
    return bool(source) and not source.startswith(_OWN_SOURCE)


def _sheet(seen: Sequence[Observation]) -> Device:
    """Return the data sheet that most observations are of.

    A CPU's depends on how many cores are busy, and a file has one: the factors are fitted to all
    runs, but only those with this sheet are kept as such.
    """
    devices = Counter(one.case.replica.device for one in seen)
    return max(devices, key=lambda device: (devices[device], -device.bytes_per_s))


def write_layout(path: Path, outcome: Outcome) -> None:
    """Write a layout into a spec file.

    Raises:
        ConfigError: It cannot be changed, or not be written.
    """
    sizes = {
        "replicas": outcome.replicas,
        "tp": outcome.tp,
        "batch_size": outcome.batch_size,
    }
    try:
        text = path.read_bytes().decode()
        write_atomically(path, with_layout(text, sizes).encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
