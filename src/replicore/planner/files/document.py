"""The tables of a calibration file as TOML has them; their names are the file's keys."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from replicore.hardware.device import Kind
from replicore.models.anatomy import Anatomy
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import StaticBatch
from replicore.planner.step.traffic import Traffic

FORMAT = 1

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]
_Correlation = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class Term(msgspec.Struct, forbid_unknown_fields=True):
    """A factor, and how uncertain its logarithm is.

    Attributes:
        correlations: With the terms before this one, in their order.
    """

    factor: _Positive
    log_sd: _NotNegative
    correlations: tuple[_Correlation, ...] = ()


class Time(msgspec.Struct, forbid_unknown_fields=True):
    """TTFT or TPOT.

    Attributes:
        residual_log_sd: Of the logarithm of measured over fitted.
    """

    residual_log_sd: _NotNegative
    terms: dict[str, Term]


class SheetTable(msgspec.Struct, forbid_unknown_fields=True):
    """A :class:`Device`; TOML has no null, so what it does not have is left out."""

    key: str
    name: str
    kind: Kind
    bytes_per_s: _Positive
    flops_16: _Positive
    flops_8: _Positive
    flops_4: _Positive
    link_bytes_per_s: _Positive
    source: str
    cores: int | None = None
    memory_bytes: int | None = None


class ReplicaTable(msgspec.Struct, forbid_unknown_fields=True):
    """A :class:`Replica` without its device and model, which the file has elsewhere."""

    engine: str
    tp: Annotated[int, msgspec.Meta(ge=1)]
    precision: Precision = Precision()
    rank_cores: Annotated[int, msgspec.Meta(ge=1)] = 1
    wait_steps: Annotated[int, msgspec.Meta(ge=0)] = 0
    kv_tokens: float | None = None
    static: StaticBatch | None = None


class ObservationTable(msgspec.Struct, forbid_unknown_fields=True):
    """A measured case; its device is the file's."""

    model: str
    replica: ReplicaTable
    traffic: Traffic
    ttft_s: _Positive | None = None
    tpot_s: _Positive | None = None
    source: str = ""


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file.

    Attributes:
        ranges: Feature -> lowest and highest of the measurements.
        rows: How many of them there were.
    """

    format: int
    made_on: str
    made_by: str
    tpot: Time
    ttft: Time
    device: str | None = None
    engine: str | None = None
    rows: Annotated[int, msgspec.Meta(ge=0)] = 0
    source: str = ""
    ranges: dict[str, tuple[_Positive, _Positive]] = {}
    sheet: SheetTable | None = None
    models: dict[str, Anatomy] = {}
    observations: tuple[ObservationTable, ...] = ()


class FormatOnly(msgspec.Struct):
    """To tell a file of a later replicore from a broken one, before its keys are read."""

    format: int


Tables = dict[str, Any]
