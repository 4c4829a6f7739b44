"""Make the calibrations that replicore comes with from published rows.

    python -m benchmarks.planner.ship --rows CSV [CSV ...]

Writes ``src/replicore/planner/calibrations/*.toml``: factors alone, no row is copied.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import replicore.planner
from benchmarks.planner.rows import Row, read_rows
from replicore import __version__
from replicore.planner.calibrate import calibrate
from replicore.planner.calibration import Key, key_of
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.predictor import Predictor

FOLDER = Path(replicore.planner.__file__).parent / "calibrations"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="CSV")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    rows = [row for path in arguments.rows for row in read_rows(path)]
    for path in ship(rows, arguments.folder, day=f"{datetime.now(UTC):%Y-%m-%d}"):
        print(path)


def ship(rows: Sequence[Row], folder: Path, *, day: str) -> list[Path]:
    """Write the calibrations that follow from rows, and return the paths of the files."""
    predictor = fitted(rows)
    records = {"common": _record(None, predictor, day)}
    records |= {"-".join(key): _record(key, predictor, day) for key in sorted(predictor.own)}
    paths = [folder / f"{name}.toml" for name in records]
    for path, record in zip(paths, records.values(), strict=True):
        write_calibration(path, record)
    return paths


def fitted(rows: Sequence[Row]) -> Predictor:
    """Return a predictor fitted to all rows that are observations, with its sources named."""
    seen = [row for row in rows if row.observation is not None]
    predictor = calibrate([row.observation for row in seen if row.observation is not None])
    own = {key: replace(one, source=_source(seen, key)) for key, one in predictor.own.items()}
    common = replace(predictor.common, source=_source(seen, None))
    return replace(predictor, own=own, common=common)


def _source(rows: Sequence[Row], key: Key | None) -> str:
    """Return the public sources of the rows of one device and engine, or of all."""
    sources = {
        row.values["source"]
        for row in rows
        if row.observation is not None and key in (None, key_of(row.observation.case))
    }
    return "; ".join(sorted(sources))


def _record(key: Key | None, predictor: Predictor, day: str) -> CalibrationRecord:
    return CalibrationRecord(
        key=key,
        calibration=predictor.common if key is None else predictor.own[key],
        made_on=day,
        made_by=f"replicore {__version__}",
    )


if __name__ == "__main__":
    main()
