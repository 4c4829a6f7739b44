"""Write a calibration as TOML that people can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from replicore.files import write_atomically
from replicore.models.anatomy import Anatomy
from replicore.planner.files.document import FORMAT, Tables
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.prediction.fit import Array, Factors
from replicore.planner.prediction.residual import FEATURES
from replicore.planner.step.terms import TPOT_TERMS, TTFT_TERMS
from replicore.planner.step.traffic import Observation
from replicore.spec.toml import toml_key, toml_value

_EXPLANATION = """\
# How many times longer than the data sheet says each part of a step takes. `log_sd` is the standard
# deviation of the factor's logarithm; `correlations` are with the terms above it.
"""


def write_calibration(path: Path, record: CalibrationRecord) -> None:
    """Write a calibration whole or not at all; its folder is made.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, calibration_text(record).encode())


def calibration_text(record: CalibrationRecord) -> str:
    """Return the file's text; factors to six digits, and uncertainty to three decimals."""
    calibration = record.calibration
    names = _names(record)
    heads = {
        "": _about(record),
        "ranges": _ranges(record),
        "sheet": stated(record.sheet) if record.sheet is not None else {},
        "tpot": {"residual_log_sd": round(calibration.tpot_log_sd, 4)},
        "tpot.terms": _terms(TPOT_TERMS, calibration.tpot),
        "ttft": {"residual_log_sd": round(calibration.ttft_log_sd, 4)},
        "ttft.terms": _terms(TTFT_TERMS, calibration.ttft),
    }
    heads |= {f"models.{toml_key(name)}": stated(model) for model, name in names.items()}
    tables = [_table(f"[{head}]" if head else "", values) for head, values in heads.items()]
    tables += [_table("[[observations]]", _seen(each, names)) for each in record.observations]
    return _EXPLANATION + "\n".join(table for table in tables if table)


def _about(record: CalibrationRecord) -> Tables:
    named = {} if record.key is None else dict(zip(("device", "engine"), record.key, strict=True))
    return {
        "format": FORMAT,
        **named,
        "rows": record.calibration.rows,
        "source": record.calibration.source,
        "made_on": record.made_on,
        "made_by": record.made_by,
    }


def _ranges(record: CalibrationRecord) -> Tables:
    calibration = record.calibration
    if not calibration.rows:
        return {}
    limits = zip(FEATURES, calibration.lowest, calibration.highest, strict=True)
    return {name: [_short(low), _short(high)] for name, low, high in limits}


def _terms(names: tuple[str, ...], factors: Factors) -> Tables:
    log_sd = np.sqrt(np.diag(factors.covariance))
    return {
        name: {
            "factor": _short(factors.values[i]),
            "log_sd": round(float(log_sd[i]), 4),
            **_correlations(factors.covariance[i, :i], log_sd[i] * log_sd[:i]),
        }
        for i, name in enumerate(names)
    }


def _correlations(covariances: Array, scales: Array) -> Tables:
    # Adding 0 makes 0 of -0.
    values = [round(float(value), 3) + 0.0 for value in covariances / scales]
    return {"correlations": values} if any(values) else {}


def _seen(seen: Observation, names: Mapping[Anatomy, str]) -> Tables:
    replica = stated(seen.case.replica, without=("device", "anatomy"))
    times = stated(seen, without=("case",))
    traffic = stated(seen.case.traffic)
    return {
        "model": names[seen.case.replica.anatomy],
        "replica": replica,
        "traffic": traffic,
        **times,
    }


def _names(record: CalibrationRecord) -> Mapping[Anatomy, str]:
    """Every model of the observations once; one without a name is counted."""
    given = {model: name for name, model in record.models.items()}
    models = dict.fromkeys(seen.case.replica.anatomy for seen in record.observations)
    return {model: given.get(model, f"model-{at}") for at, model in enumerate(models, 1)}


def stated(value: Any, *, without: tuple[str, ...] = ()) -> Tables:
    """Return the fields of a dataclass that are not at their defaults, those inside of it too."""
    chosen = (field for field in fields(value) if field.name not in without)
    return {
        field.name: stated(found) if is_dataclass(found) else found
        for field in chosen
        for found in [getattr(value, field.name)]
        if found is not None and (field.default is MISSING or found != field.default)
    }


def _table(head: str, values: Tables) -> str:
    return "\n".join(_lines(head, values)) + "\n" if values else ""


def _lines(head: str, values: Tables) -> Iterator[str]:
    if head:
        yield head
    for key, value in values.items():
        yield f"{toml_key(key)} = {toml_value(value)}"


def _short(value: float) -> float:
    return float(f"{value:.6g}")
