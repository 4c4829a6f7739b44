"""Make the calibrations of Trainium and Inferentia that replicore comes with from published rows.

    python -m benchmarks.planner.ship_neuron --rows ../shared/data/neuron_perf.csv ...

Writes ``src/replicore/planner/calibrations/*-neuron*.toml``: factors alone, no row is copied.
Devices that nobody has published results of get what the measured ones have in common.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from benchmarks.planner.neuron import distinct, fitted
from benchmarks.planner.neuron_rows import ENGINE, read_neuron
from benchmarks.planner.rows import Row
from benchmarks.planner.ship import FOLDER
from replicore import __version__
from replicore.hardware.devices import neuron_device
from replicore.hardware.neuron.catalogue import chips
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.prediction.calibration import Calibration, Key, key_of
from replicore.planner.step.traffic import Observation

Seen = tuple[Row, Observation]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="CSV")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    rows = [row for path in arguments.rows for row in read_neuron(path)]
    for path in ship(rows, arguments.folder, day=f"{datetime.now(UTC):%Y-%m-%d}"):
        print(path)


def ship(rows: Sequence[Row], folder: Path, *, day: str) -> list[Path]:
    """Write the calibrations that follow from rows, and return the paths of the files."""
    paths = []
    for key, calibration in calibrations(rows):
        paths.append(folder / f"{'-'.join(key)}.toml")
        record = CalibrationRecord(
            key=key, calibration=calibration, made_on=day, made_by=f"replicore {__version__}"
        )
        write_calibration(paths[-1], record)
    return paths


def calibrations(rows: Sequence[Row]) -> Iterator[tuple[Key, Calibration]]:
    """Return the calibrations of every device of the catalogue."""
    seen = list(_distinct(rows))
    predictor = fitted([one for _, one in seen])
    known = ", ".join(sorted({device for device, _ in predictor.own}))
    shared = replace(predictor.common, source=f"none of its own: shared by {known}")
    for key in product(_devices(), (ENGINE, f"{ENGINE}-experts")):
        own = predictor.own.get(key)
        yield key, shared if own is None else replace(own, source=_sources(seen, key))


def _devices() -> list[str]:
    return [neuron_device(chip, lnc=lnc).key for chip in chips() for lnc in chip.lnc]


def _distinct(rows: Sequence[Row]) -> Iterator[Seen]:
    """Leave out rows that are in another file too."""
    found = set()
    for row in rows:
        one = row.observation
        if one is not None and distinct(one) not in found:
            found.add(distinct(one))
            yield row, one


def _sources(seen: Sequence[Seen], key: Key) -> str:
    repositories = {
        "/".join(row.values["source"].removeprefix("github:").split()[0].split("/")[:2])
        for row, one in seen
        if key_of(one.case) == key
    }
    return "; ".join(sorted(repositories))


if __name__ == "__main__":
    main()
