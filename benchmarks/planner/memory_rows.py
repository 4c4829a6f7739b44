"""Read published breakdowns of vLLM's memory, rows of ``planner_memory_rows.csv``."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from replicore.planner.memory.activation import Version
from replicore.planner.memory.loaded import loaded_weight_bytes
from replicore.planner.memory.vllm import VllmLimits
from replicore.units import GIB

# Launches that a note tells of, besides the row's own
_FAILS_AT_TP = re.compile(r"TP(\d+) fails")
_FAILS_AT_LENGTH = re.compile(r"max_model_len (\d+) fails at TP(\d+)")
_LENGTH = re.compile(r"max_model_len (\d+)(?! fails)")
_USUAL_LENGTH = 16_000

_VISIBLE_GIB = re.compile(r"([\d.]+) GiB visible")
_H100_BYTES = round(79.19 * GIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """One row; sizes in GiB, None where the row has none.

    Attributes:
        tp: Of the row; where it has none, the least power of two that the weights fit on.
        device_bytes: That the engine saw.
    """

    id: str
    model: str
    shape: ModelShape
    tp: int
    device_bytes: int
    limits: VllmLimits
    weights_gib: float | None
    activation_gib: float | None
    kv_pool_gib: float | None
    kv_tokens: int | None
    notes: str

    @property
    def is_dense(self) -> bool:
        return anatomy_of(self.shape).experts is None

    @property
    def size(self) -> int:
        """What tells models apart: the same sizes are the same model under two names."""
        return anatomy_of(self.shape).parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A launch that was tried, and whether the engine refused it."""

    row: MemoryRow
    tp: int
    max_model_len: int
    refused: bool


def read_memory_rows(path: Path) -> tuple[list[MemoryRow], list[str]]:
    """Return the rows whose model is known, and the ids of the others."""
    rows, unknown = [], []
    with path.open(newline="", encoding="utf-8") as file:
        for values in csv.DictReader(file):
            shape = find_variant(values["model"])
            if shape is None:
                unknown.append(values["row_id"])
            else:
                rows.append(_row(values, shape))
    return rows, unknown


def _row(values: Mapping[str, str], shape: ModelShape) -> MemoryRow:
    seen = _VISIBLE_GIB.search(values["hardware"])
    device_bytes = round(float(seen[1]) * GIB) if seen else _H100_BYTES
    limits = VllmLimits(
        version=_version(values["vllm_version"]),
        utilisation=_number(values["gpu_memory_utilization"]) or 0.9,
        pp=int(values["pp"] or 1),
    )
    tokens = _number(values["kv_tokens"])
    return MemoryRow(
        id=values["row_id"],
        model=values["model"],
        shape=shape,
        tp=int(values["tp"] or _least_tp(shape, limits.utilisation * device_bytes)),
        device_bytes=device_bytes,
        limits=limits,
        weights_gib=_number(values["weights_gib_per_rank"]),
        activation_gib=_number(values["activation_gib"]),
        kv_pool_gib=_number(values["kv_pool_gib"]),
        kv_tokens=None if tokens is None else int(tokens),
        notes=values["notes"],
    )


def _version(text: str) -> Version:
    """``0.11 era`` is 0.11."""
    first, second = text.split()[0].split(".")[:2]
    return int(first), int(second)


def _number(text: str) -> float | None:
    return float(text) if text else None


def _least_tp(shape: ModelShape, room: float) -> int:
    tp = 1
    while loaded_weight_bytes(shape, tp=tp) > room:
        tp *= 2
    return tp


def launches(row: MemoryRow) -> Iterator[Launch]:
    """Yield the launches that the row tells of."""
    length = _LENGTH.search(row.notes)
    usual = int(length[1]) if length else _USUAL_LENGTH
    if row.kv_pool_gib is not None or "REFUSED" in row.notes:
        refused = "REFUSED" in row.notes
        yield Launch(row=row, tp=row.tp, max_model_len=usual, refused=refused)
    for match in _FAILS_AT_TP.finditer(row.notes):
        yield Launch(row=row, tp=int(match[1]), max_model_len=usual, refused=True)
    for match in _FAILS_AT_LENGTH.finditer(row.notes):
        yield Launch(row=row, tp=int(match[2]), max_model_len=int(match[1]), refused=True)
