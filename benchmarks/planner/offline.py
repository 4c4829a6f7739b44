"""How well offline throughput is predicted, and tp chosen by it, on runs that were held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.planner.offline_fit import (
    USUAL,
    Group,
    Held,
    held_out,
    nested,
    predicted,
    usual,
)
from benchmarks.planner.offline_rows import OfflineRun, Settings, offline_runs
from benchmarks.planner.rows import Row
from benchmarks.planner.tp_choice import Pick, achieved
from replicore.planner.prediction.fit import Array
from replicore.planner.step.terms import TPOT_TERMS

Report = dict[str, Any]
Figures = dict[str, Any]

SPLITS: Mapping[str, Group] = {
    "leave one workload out": lambda run: run.lengths,
    "leave one model out": lambda run: run.model,
    "leave one GPU out": lambda run: run.hardware,
    "leave one TP out": lambda run: run.tp,
}

BARS = {"mean": 0.985, "worst": 0.90}

# The table that the bars are about.
_JUDGED = "B"

# Terms that a data sheet tells: nothing of launches, latencies and the host.
_SHEET = ("weights", "kv", "compute", "prefill", "transfer")


def offline_report(rows: Sequence[Row], calibration: Sequence[Row] | None = None) -> Report:
    """Return the errors and the choices.

    Args:
        calibration: To predict ``rows`` from instead of from one another; their own ids are left
            out of it.
    """
    runs, refused = offline_runs(rows)
    report: Report = {"rows": len(runs), "refused": refused, "bars": BARS}
    for table in (_JUDGED, "all"):
        chosen = [run for run in runs if table == "all" or run.id.startswith(table)]
        if chosen:
            report[table] = _judged(chosen, _splits(table, chosen, calibration))
    return report


def _judged(runs: Sequence[OfflineRun], splits: Mapping[str, Held]) -> Report:
    """Return the errors of every split, and the choices of every policy."""
    measured = np.array([run.tok_s for run in runs])
    return {
        "throughput": [
            figures
            for split, held in splits.items()
            for figures in _errors(split, runs, held.tok_s / measured - 1)
        ],
        "decisions": [
            _decision(name, achieved(runs, tok_s)) for name, tok_s in _policies(runs, splits)
        ],
        "settings": {
            split: [asdict(used) for used in held.settings] for split, held in splits.items()
        },
    }


def _splits(
    table: str, runs: Sequence[OfflineRun], calibration: Sequence[Row] | None
) -> dict[str, Held]:
    """Return predictions of runs from others; settings are chosen where the bars are."""
    predict = nested if table == _JUDGED else usual
    if calibration is None:
        return {split: held_out(runs, group, predict) for split, group in SPLITS.items()}
    ids = {run.id for run in runs}
    train = [run for run in offline_runs(calibration)[0] if run.id not in ids]
    return {"the calibration given": predict(train, runs, SPLITS["leave one workload out"])}


def _errors(split: str, runs: Sequence[OfflineRun], off: Array) -> Iterator[Figures]:
    names = np.array([run.hardware for run in runs])
    chosen: dict[str, Any] = {name: names == name for name in sorted(set(names))}
    for hardware, mask in {"all": np.full(len(runs), True), **chosen}.items():
        percent = 100 * np.abs(off[mask])
        yield {
            "split": split,
            "hardware": hardware,
            "rows": len(percent),
            "median_percent": float(np.median(percent)),
            "mean_percent": float(percent.mean()),
            "p90_percent": float(np.percentile(percent, 90)),
        }


def _policies(
    runs: Sequence[OfflineRun], splits: Mapping[str, Held]
) -> Iterator[tuple[str, Array]]:
    """Yield the name of a policy, and the tok/s by which it chooses."""
    for split, held in splits.items():
        yield f"fitted, {split}", held.tok_s
    tp = np.array([run.tp for run in runs], dtype=np.float64)
    yield "prior only", predicted([], runs, USUAL)
    yield "data sheet only", _by_sheet(runs, USUAL)
    yield "smallest tp that fits", 1 / tp
    yield "largest tp", tp * tp


def _by_sheet(runs: Sequence[OfflineRun], used: Settings) -> Array:
    chosen = np.array([name in _SHEET for name in TPOT_TERMS], dtype=np.float64)
    return np.array([1 / float(run.terms(used) @ chosen) for run in runs])


def _decision(policy: str, picks: Sequence[Pick]) -> Figures:
    shares = [pick.achieved for pick in picks]
    if not shares:
        return {"policy": policy, "cases": 0}
    return {
        "policy": policy,
        "cases": len(picks),
        "exact": sum(pick.tp == pick.best_tp for pick in picks),
        "mean": float(np.mean(shares)),
        "worst": min(shares),
    }


def lines(report: Report) -> list[str]:
    """Return the report as a table for people."""
    told = [f"offline throughput: {report['rows']} rows"]
    told += [f"  refused: {count} rows, {why}" for why, count in report["refused"].items()]
    for table in (_JUDGED, "all"):
        if table in report:
            told += [f"rows {table}", *_table(report[table])]
    return told


def _table(judged: Report) -> list[str]:
    return [*map(_error_line, judged["throughput"]), *map(_decision_line, judged["decisions"])]


def _error_line(at: Figures) -> str:
    errors = " / ".join(f"{at[f'{name}_percent']:.1f}" for name in ("median", "mean", "p90"))
    return f"  {at['split']:<24} {at['hardware']:<14} {at['rows']:>4} rows  {errors} %"


def _decision_line(at: Figures) -> str:
    if not at["cases"]:
        return f"  {at['policy']:<32} no case with three degrees"
    found = (
        f"{at['exact']}/{at['cases']} exact, {at['mean']:.3f} of optimal, {at['worst']:.2f} worst"
    )
    return f"  {at['policy']:<32} {found}"
