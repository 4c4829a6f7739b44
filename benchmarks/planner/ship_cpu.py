"""Make the calibration of llama.cpp on a CPU that replicore comes with, from our own measurements.

    python -m benchmarks.planner.ship_cpu

Reads ``results/dp_vs_tp.json`` and writes ``calibrations/cpu-llamacpp.toml``. It is of one small
model on one machine of two cores, against the rates that are guessed of a CPU before its own are
measured: a start for `replicore tune`, and better than what accelerators have in common.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.planner.ship import FOLDER
from benchmarks.result_file import RESULTS
from replicore import __version__
from replicore.cores import CoreRange
from replicore.hardware.cpu_sheet import CpuSheet, guessed_sheet
from replicore.hardware.machine import Machine
from replicore.models.anatomy import Anatomy
from replicore.models.builtin import BUILTINS
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.step.precision import Precision
from replicore.planner.step.replica import Replica
from replicore.planner.step.traffic import Case, Observation, Traffic

MEASURED = RESULTS / "dp_vs_tp.json"

KEY = ("cpu", "llamacpp")

# What was measured: SmolLM2-135M in Q4_1, with the table of its tokens in 8 bits.
_MODEL = Anatomy(
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    vocab=49_152,
    intermediate=1536,
    tied=True,
)
_PRECISION = Precision(weight_bytes=BUILTINS["smollm2-135m"].size / _MODEL.parameters)
_INPUT_TOKENS, _OUTPUT_TOKENS = 128.0, 32.0

Cell = Mapping[str, Any]


def main() -> None:
    print(ship(json.loads(MEASURED.read_text()), FOLDER, day=f"{datetime.now(UTC):%Y-%m-%d}"))


def ship(measured: Mapping[str, Any], folder: Path, *, day: str) -> Path:
    """Write the calibration that follows from a result of ``dp_vs_tp``, and return its path."""
    hardware = measured["hardware"]
    calibration = calibrate(list(observations(measured))).own[KEY]
    source = (
        f"replicore's own {measured['command']} of {measured['date'][:10]}: SmolLM2-135M, "
        f"{hardware['cores']} cores of {hardware['cpu']}, against guessed rates"
    )
    path = folder / f"{'-'.join(KEY)}.toml"
    record = CalibrationRecord(
        key=KEY,
        calibration=replace(calibration, source=source),
        made_on=day,
        made_by=f"replicore {__version__}",
    )
    write_calibration(path, record)
    return path


def observations(measured: Mapping[str, Any]) -> Iterator[Observation]:
    """Yield every layout and load of llama.cpp once; some are in two of the result's rows."""
    rows = [row for row in measured["rows"] if row["engine"] == KEY[1]]
    sheet = _sheet(measured["hardware"])
    found: dict[tuple[str, int], Cell] = {}
    for row in rows:
        for size in (name for name in row if name[0].isdigit()):
            found[size, row[size]["in_flight"]] = row[size]
    for (size, in_flight), cell in sorted(found.items()):
        replicas, tp = map(int, size.split("x"))
        yield _observation(sheet, cell, replicas=replicas, tp=tp, in_flight=in_flight)


def _sheet(hardware: Mapping[str, Any]) -> CpuSheet:
    machine = Machine(
        kind="cpu",
        name=KEY[0],
        cores=CoreRange(tuple(range(hardware["cores"]))),
        core_limit=hardware["cores"],
        numa=(),
        memory_bytes=hardware["memory_bytes"],
    )
    return guessed_sheet(machine)


def _observation(
    sheet: CpuSheet, cell: Cell, *, replicas: int, tp: int, in_flight: int
) -> Observation:
    busy = min(replicas, in_flight)
    replica = Replica(
        device=sheet.device(busy * tp),
        engine=KEY[1],
        anatomy=_MODEL,
        precision=_PRECISION,
        tp=tp,
        rank_cores=tp,
    )
    traffic = Traffic(
        input_tokens=_INPUT_TOKENS, output_tokens=_OUTPUT_TOKENS, concurrency=in_flight / busy
    )
    return Observation(
        case=Case(replica=replica, traffic=traffic),
        ttft_s=cell["ttft_p50_s"],
        tpot_s=cell["tpot_p50_s"],
    )


if __name__ == "__main__":
    main()
