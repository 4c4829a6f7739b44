"""Measure how far the planner is off, on published rows that it was not calibrated on.

    python -m benchmarks.planner_accuracy --rows ROWS.csv [--calibrate OTHER.csv] [--json OUT.json]

A file is recognised by its columns: serving results, memory breakdowns, or results on Neuron.
Without ``--calibrate`` rows are held out in several ways and predicted from the others; with it
all are predicted from the given files, those that are in these too from the rest of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.planner import bars, memory, neuron, offline, openloop, whatif
from benchmarks.planner.decisions import decisions
from benchmarks.planner.online import (
    Prediction,
    coverage,
    cross_validated,
    figures,
    fitted,
    kind_of,
    predict,
)
from benchmarks.planner.rows import Row, read_rows, read_values
from benchmarks.planner.splits import folds
from benchmarks.planner.tables import coverage_lines, decision_lines, error_lines, others_lines
from benchmarks.result_file import write_result

Report = dict[str, Any]

# A column that only this kind of file has.
_KINDS = {"weights_gib_per_rank": "memory", "sdk_version": "neuron"}

_PRINTERS: Mapping[str, Callable[[Report], Sequence[str]]] = {
    "offline": offline.lines,
    "open loop": openloop.lines,
    "what if": whatif.lines,
    "memory": memory.lines,
    "neuron": neuron.lines,
}

# Tables of offline and open-loop runs are judged on their own.
_CLOSED_LOOP = ("", "closed-loop")


@dataclass(slots=True)
class Inputs:
    """The given files, by kind."""

    rows: list[Row] = field(default_factory=list)
    memory: list[Path] = field(default_factory=list)
    neuron: list[Path] = field(default_factory=list)

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Inputs:
        inputs = cls()
        for path in paths:
            kind = kind_of_file(path)
            if kind == "rows":
                inputs.rows += read_rows(path)
            else:
                (inputs.memory if kind == "memory" else inputs.neuron).append(path)
        return inputs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=Path, nargs="+", required=True, metavar="CSV")
    parser.add_argument("--calibrate", type=Path, nargs="+", metavar="CSV")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--check", action="store_true", help="fail where a bar is missed")
    arguments = parser.parse_args()
    given = Inputs.read(arguments.calibrate) if arguments.calibrate else None
    report = report_of(Inputs.read(arguments.rows), given)
    print("\n".join(lines(report)))
    if arguments.json is not None:
        _write(report, arguments.json)
    missed = list(bars.missed(*_judged(report))) if arguments.check else []
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def kind_of_file(path: Path) -> str:
    first = next(iter(read_values(path)), {})
    return next((kind for column, kind in _KINDS.items() if column in first), "rows")


def report_of(inputs: Inputs, calibration: Inputs | None) -> Report:
    """Return the figures of all files, by the kind of what they are about."""
    report: Report = {}
    given = calibration.rows if calibration is not None else None
    known = next(iter(calibration.neuron), None) if calibration is not None else None
    closed = [row for row in inputs.rows if row.values.get("load", "") in _CLOSED_LOOP]
    if closed:
        report["closed loop"] = closed_loop_report(closed, given)
    if len(closed) < len(inputs.rows):
        report["offline"] = offline.offline_report(inputs.rows, given)
        report["open loop"] = openloop.openloop_report(inputs.rows, given)
        report["what if"] = whatif.whatif_report(inputs.rows)
    for path in inputs.memory:
        report[f"memory: {path.name}"] = memory.memory_report(path)
    for path in inputs.neuron:
        report[f"neuron: {path.name}"] = neuron.neuron_report(path, known)
    return report


def closed_loop_report(rows: Sequence[Row], given: Sequence[Row] | None) -> Report:
    """Return coverage, errors and decisions.

    Args:
        given: What to calibrate on; None: the rows themselves, held out in several ways.
    """
    answered = [row for row in rows if row.observation is not None]
    of_corpus = [row for row in answered if given is not None or row.table == "A"]
    if given is None:
        return {
            "coverage": coverage(rows),
            "errors": cross_validated(of_corpus),
            "decisions": decisions(_dense(of_corpus)),
        }
    known = [row for row in given if row.observation is not None]
    new, repeated = _apart(answered, known)
    return {
        "coverage": coverage(rows),
        "calibrated_on": len(known),
        "also calibrated on": len(repeated),
        "errors": figures("given calibration", _predicted(new, repeated, known)),
        "decisions": decisions(_dense(new), known) if new else decisions(_dense(repeated)),
    }


def _dense(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if kind_of(row) == "dense"]


def _apart(rows: Sequence[Row], known: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows that are not calibrated on, and those that are."""
    seen = {_identity(row.values) for row in known}
    new = [row for row in rows if _identity(row.values) not in seen]
    return new, [row for row in rows if _identity(row.values) in seen]


def _predicted(
    new: Sequence[Row], repeated: Sequence[Row], known: Sequence[Row]
) -> list[Prediction]:
    """Predict new rows from all that are known; repeated ones, by fifths, from the others."""
    found = predict(fitted(known), new) if new else []
    for _, held_out in folds(repeated):
        if held_out:
            found += predict(fitted(calibration_for(held_out, known)), held_out)
    return found


def calibration_for(rows: Sequence[Row], known: Sequence[Row]) -> list[Row]:
    """Return the known rows that are none of those to predict."""
    predicted = {_identity(row.values) for row in rows}
    return [row for row in known if _identity(row.values) not in predicted]


def _identity(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def _judged(report: Report) -> tuple[list[Report], list[Report]]:
    closed = report.get("closed loop", {})
    return closed.get("errors", []), closed.get("decisions", [])


def lines(report: Report) -> list[str]:
    found: list[str] = []
    for name, part in report.items():
        found += ["", f"== {name}", *_lines(name, part)]
    return found


def _lines(name: str, part: Report) -> list[str]:
    if name == "closed loop":
        tables = (error_lines(part["errors"]), others_lines(), decision_lines(part["decisions"]))
        return [*coverage_lines(part["coverage"]), *(line for table in tables for line in table)]
    return list(_PRINTERS[name.partition(":")[0]](part))


def _write(report: Report, path: Path) -> None:
    closed = report.get("closed loop", {})
    settings = {name: part for name, part in report.items() if name != "closed loop"}
    settings["coverage"] = closed.get("coverage", {})
    told = [{"table": "errors", **row} for row in closed.get("errors", [])]
    told += [{"table": "decisions", **row} for row in closed.get("decisions", [])]
    write_result(path.stem, told, settings=settings, packages=("numpy",), folder=path.parent)


if __name__ == "__main__":
    sys.exit(main())
