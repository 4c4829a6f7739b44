"""How well a replica under arrivals is predicted, and one beyond what its KV cache holds.

Calibrated on closed loops alone (rows A). Below 0.9 utilisation times are compared; above it the
planner tells none, and what counts is whether the run did fall behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.planner.openloop_rows import Run, answer, closed_runs, open_runs
from benchmarks.planner.rows import Row
from replicore.planner.plan import Service
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Predictor

Report = dict[str, Any]

_CALIBRATED_ON = "A"

_TABLES = {"C": "TensorRT-LLM online", "H": "vLLM, multi-turn chat", "K": "vLLM, 405B on MI300X"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A run and what the planner says of it."""

    run: Run
    service: Service

    @property
    def refused(self) -> bool:
        return self.run.rate_per_s is None or self.service.ttft_s is None


def openloop_report(rows: Sequence[Row], calibration: Sequence[Row] | None = None) -> Report:
    """Return the errors below saturation, the refusals, and what happens beyond.

    Args:
        calibration: Rows to calibrate on, if not those of closed loops among ``rows``.
    """
    predictor = _predictor(rows if calibration is None else calibration)
    answers = [Answer(run, answer(run, predictor)) for run in open_runs(rows)]
    return {
        "tables": [
            _table(table, [each for each in answers if each.run.id[0] == table])
            for table in _TABLES
        ],
        "capacity": _capacity(answers),
        "kv_cliff": [_step(Answer(run, answer(run, predictor))) for run in closed_runs(rows)],
        "copies": list(_copies(answers)),
    }


def _predictor(rows: Sequence[Row]) -> Predictor:
    of_loops = [row.observation for row in rows if row.table == _CALIBRATED_ON]
    return calibrate([each for each in of_loops if each is not None])


def _table(table: str, answers: Sequence[Answer]) -> Report:
    """Return errors where times were told, and how many runs of each kind were refused."""
    told = [each for each in answers if not each.refused]
    steady = [each for each in told if not each.run.saturated]
    refused = [each for each in answers if each.refused]
    return {
        "rows": table,
        "of": _TABLES[table],
        "steady": {
            "told": len(steady),
            "refused": len([each for each in refused if not each.run.saturated]),
        },
        "saturated": {
            "told": len(told) - len(steady),
            "refused": len([each for each in refused if each.run.saturated]),
        },
        "ttft": _errors(steady, lambda each: _ttft_s(each) / each.run.ttft_s),
        "tpot": _errors(steady, lambda each: each.service.tpot_s.value / each.run.tpot_s),
    }


def _ttft_s(each: Answer) -> float:
    return np.nan if each.service.ttft_s is None else each.service.ttft_s.value


def _capacity(answers: Sequence[Answer]) -> Report:
    """Return the errors of the most that a deployment gives, of runs that were given more."""
    full = [each for each in answers if each.run.saturated]
    return _errors(full, lambda each: each.service.tokens_per_s.value / each.run.tok_s)


def _errors(answers: Sequence[Answer], ratio: Callable[[Answer], float]) -> Report:
    if not answers:
        return {"rows": 0}
    ratios: Array = np.array([ratio(each) for each in answers])
    percent = 100 * np.abs(ratios - 1)
    return {
        "rows": len(answers),
        "median_percent": float(np.median(percent)),
        "mean_percent": float(percent.mean()),
        "bias_percent": float(100 * np.median(ratios - 1)),
    }


def _step(each: Answer) -> Report:
    """Return one concurrency of a saturation curve."""
    run, service = each.run, each.service
    return {
        "id": run.id,
        "concurrency": run.case.traffic.concurrency,
        "running": service.running,
        "tok_s": run.tok_s,
        "predicted_tok_s": service.tokens_per_s.value,
        "ttft_s": run.ttft_s,
        "predicted_ttft_s": None if service.ttft_s is None else service.ttft_s.value,
    }


def _copies(answers: Sequence[Answer]) -> Iterator[Report]:
    """Yield each two layouts of one model on one device that were both saturated."""
    full = [each for each in answers if each.run.rate_per_s is None]
    for one, other in combinations(full, 2):
        a, b = one.run, other.run
        if _deployed(a) != _deployed(b) or _layout(a) == _layout(b):
            continue
        yield {
            "layouts": [_layout(a), _layout(b)],
            "measured": b.tok_s / a.tok_s,
            "predicted": other.service.tokens_per_s.value / one.service.tokens_per_s.value,
        }


def _deployed(run: Run) -> tuple[str, str, str]:
    return run.model, run.case.replica.device.key, run.case.replica.engine


def _layout(run: Run) -> str:
    return f"{run.replicas}x{run.case.replica.tp}"


def lines(report: Report) -> list[str]:
    """Return the report as a table for people."""
    told = ["open loop, calibrated on closed loops: median / mean error"]
    told += [line for table in report["tables"] for line in _table_lines(table)]
    told.append(f"  most tok/s of saturated runs    {_told(report['capacity'])}")
    told += [_step_line(step) for step in report["kv_cliff"]]
    told += [
        f"  {' -> '.join(at['layouts'])}: tok/s x {at['measured']:.2f} measured, "
        f"x {at['predicted']:.2f} predicted"
        for at in report["copies"]
    ]
    return told


def _table_lines(at: Report) -> Iterator[str]:
    kept, fell = at["steady"], at["saturated"]
    yield f"  rows {at['rows']}, {at['of']}"
    yield f"    kept up: {kept['told']} told, {kept['refused']} refused"
    yield f"    fell behind: {fell['told']} told, {fell['refused']} refused"
    yield from (f"    {time.upper()}  {_told(at[time])}" for time in ("ttft", "tpot"))


def _told(errors: Report) -> str:
    if not errors["rows"]:
        return "no rows"
    found = f"{errors['median_percent']:.1f} / {errors['mean_percent']:.1f} %"
    return f"{found} of {errors['rows']} rows, median bias {errors['bias_percent']:+.1f} %"


def _step_line(at: Report) -> str:
    ttft = "refused" if at["predicted_ttft_s"] is None else f"{at['predicted_ttft_s']:.2f} s"
    return (
        f"  {at['id']} concurrency {at['concurrency']:>4.0f}: tok/s {at['tok_s']:.0f} measured, "
        f"{at['predicted_tok_s']:.0f} predicted; TTFT {at['ttft_s']:.2f} s, {ttft}"
    )
