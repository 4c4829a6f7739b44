"""Make the calibrations that replicore comes with from published rows.

    python -m benchmarks.planner.ship --rows CSV [CSV ...]

Writes ``src/replicore/planner/calibrations/*.toml``: factors alone, no row is copied. Tables whose
prompts were worked through faster than engines can are left out: they had them in a prefix cache,
and would promise that speed for prompts that are not.
"""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import replicore.planner
from benchmarks.planner.rows import Row, read_rows
from replicore import __version__
from replicore.planner.files.record import CalibrationRecord
from replicore.planner.files.writing import write_calibration
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.calibration import Key, key_of
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.terms import cost_of

# Share of the peak that a run's prompts may take alone; no other published table is above 0.45.
_MOST_OF_PEAK = 0.6

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
    """Return a predictor fitted to the rows that say something, with its sources named."""
    observed = [row for row in rows if row.observation is not None]
    cached = {_table(row) for row in observed if _share_of_peak(row) > _MOST_OF_PEAK}
    seen = [row for row in observed if _table(row) not in cached]
    predictor = calibrate([row.observation for row in seen if row.observation is not None])
    own = {key: replace(one, source=_source(seen, key)) for key, one in predictor.own.items()}
    common = replace(predictor.common, source=_source(seen, None))
    return replace(predictor, own=own, common=common)


def _table(row: Row) -> Hashable:
    return key_of(row.case), row.values.get("model"), row.values.get("precision")


def _share_of_peak(row: Row) -> float:
    """Return which part of a run the arithmetic of its prompts takes, by the data sheet."""
    seen, traffic = row.measured, row.case.traffic
    if seen.ttft_s is None or seen.tpot_s is None:
        return 0.0
    request_s = seen.ttft_s + seen.tpot_s * (traffic.output_tokens - 1)
    prompt_s = cost_of(row.case.replica).prompt_s(traffic.input_tokens)
    return traffic.concurrency * prompt_s / request_s


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
