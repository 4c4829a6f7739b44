"""Read a calibration, and say what is wrong with one that cannot be used."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from replicore.errors import ConfigError
from replicore.hardware.device import Device
from replicore.hardware.devices import devices
from replicore.models.anatomy import Anatomy
from replicore.planner.files.document import (
    FORMAT,
    Document,
    FormatOnly,
    ObservationTable,
    Tables,
    Term,
    Time,
)
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.prediction.calibration import Calibration, Key
from replicore.planner.prediction.fit import Array, Factors
from replicore.planner.prediction.residual import FEATURES
from replicore.planner.step.replica import Replica
from replicore.planner.step.terms import TPOT_TERMS, TTFT_TERMS
from replicore.planner.step.traffic import Case, Observation
from replicore.wording import listed, quoted

_AGAIN = "`replicore tune` writes one that fits; without the file predictions are less sure"


def read_calibration(path: Path) -> CalibrationRecord:
    """Return what a calibration file holds.

    Raises:
        ConfigError: It cannot be read, or a value of it is wrong; the message names file and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: it is not UTF-8") from error
    return parse_calibration(text, str(path))


def parse_calibration(text: str, name: str) -> CalibrationRecord:
    """Return what the text of a calibration file says.

    Args:
        name: Of the file, for error messages.

    Raises:
        ConfigError: See :func:`read_calibration`.
    """
    try:
        return _record(_document(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_placed(str(error))}", hint=_AGAIN) from error
    except _Wrong as error:
        raise ConfigError(f"{name}: {error}", hint=_AGAIN) from error


class _Wrong(ValueError):
    """A value that has the right type and yet cannot be."""


def _placed(message: str) -> str:
    """Put the key before the rule: msgspec's order is the other way round."""
    rule, _, place = message.partition(" - at `$.")
    return f"{place.rstrip('`')}: {rule[0].lower()}{rule[1:]}" if place else message


def _document(tables: Tables) -> Document:
    found = msgspec.convert(tables, FormatOnly).format
    if found != FORMAT:
        raise _Wrong(f"format: {found} is not {FORMAT}, the one that this replicore reads")
    return msgspec.convert(tables, Document)


def _record(document: Document) -> CalibrationRecord:
    key = _key(document)
    return CalibrationRecord(
        key=key,
        calibration=_calibration(document),
        made_on=document.made_on,
        made_by=document.made_by,
        sheet=_sheet(document),
        observations=_observations(document, key),
        models=document.models,
    )


def _key(document: Document) -> Key | None:
    if document.device is not None and document.engine is not None:
        return document.device, document.engine
    if document.device is None and document.engine is None:
        return None
    raise _Wrong("device and engine belong together, and one of them is missing")


def _calibration(document: Document) -> Calibration:
    lowest, highest = _limits(document)
    return Calibration(
        tpot=_factors("tpot", TPOT_TERMS, document.tpot),
        ttft=_factors("ttft", TTFT_TERMS, document.ttft),
        tpot_log_sd=document.tpot.residual_log_sd,
        ttft_log_sd=document.ttft.residual_log_sd,
        rows=document.rows,
        lowest=lowest,
        highest=highest,
        source=document.source,
    )


def _limits(document: Document) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not document.rows:
        return (), ()
    if set(document.ranges) != set(FEATURES):
        raise _Wrong(f"ranges: has {listed(document.ranges)}, and must have {listed(FEATURES)}")
    lowest, highest = zip(*(document.ranges[name] for name in FEATURES), strict=True)
    return lowest, highest


def _factors(time: str, names: tuple[str, ...], table: Time) -> Factors:
    if set(table.terms) != set(names):
        raise _Wrong(f"{time}.terms: has {listed(table.terms)}, and must have {listed(names)}")
    terms = [table.terms[name] for name in names]
    log_sd = np.array([term.log_sd for term in terms])
    correlations = np.array([_row(time, names, at, term) for at, term in enumerate(terms)])
    both = correlations + correlations.T + np.eye(len(terms))
    return Factors(
        log=np.log([term.factor for term in terms]),
        covariance=_possible(both) * np.outer(log_sd, log_sd),
    )


def _row(time: str, names: tuple[str, ...], at: int, term: Term) -> list[float]:
    """Return a row of the lower triangle; left out, a term depends on none before it."""
    found = list(term.correlations) or [0.0] * at
    if len(found) != at:
        raise _Wrong(
            f"{time}.terms.{names[at]}.correlations: has {len(found)} values; "
            f"it is term {at + 1}, so it has {at}"
        )
    return found + [0.0] * (len(names) - at)


def _possible(correlations: Array) -> Array:
    """Return the matrix without the negative variances that rounding may have made."""
    values, vectors = np.linalg.eigh(correlations)
    return np.asarray((vectors * np.clip(values, 0.0, None)) @ vectors.T, dtype=np.float64)


def _sheet(document: Document) -> Device | None:
    if document.sheet is None:
        return None
    return Device(**msgspec.structs.asdict(document.sheet))


def _observations(document: Document, key: Key | None) -> tuple[Observation, ...]:
    if not document.observations:
        return ()
    if key is None:
        raise _Wrong("observations are of a device and an engine, and the file names none")
    device = _sheet(document) or devices().get(key[0])
    if device is None:
        raise _Wrong(f"device: {quoted(key[0])} is not catalogued, and the file has no sheet of it")
    return tuple(_observation(seen, device, document.models) for seen in document.observations)


def _observation(
    seen: ObservationTable, device: Device, models: Mapping[str, Anatomy]
) -> Observation:
    if seen.model not in models:
        raise _Wrong(f"observations: model {quoted(seen.model)} is not one of {listed(models)}")
    fields = msgspec.structs.asdict(seen.replica)
    replica = Replica(device=device, anatomy=models[seen.model], **fields)
    case = Case(replica=replica, traffic=seen.traffic)
    return Observation(case=case, ttft_s=seen.ttft_s, tpot_s=seen.tpot_s, source=seen.source)
