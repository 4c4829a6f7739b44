"""Measured numbers with what is predicted of them by models that have not seen them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planner.offline_fit import USUAL, held_out, predicted, usual
from benchmarks.planner.offline_rows import offline_runs
from benchmarks.planner.rows import Row, number, row_of
from replicore.planner.prediction.calibrate import calibrate, uncalibrated
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.offline import Offline, offline_tok_s
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.traffic import Observation

# What a prediction knows: nothing that was measured, or what was of all models but the row's own.
MODES = ("prior only", "other models")

# Rows of the table in which a batch is sent at once and its elapsed time is taken.
_AT_ONCE = "K"

_CASE = ("hardware", "engine", "engine_version", "model", "precision", "input_len", "output_len")

Predict = Callable[[Predictor, Sequence[Observation]], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A measured number.

    Attributes:
        case: Points of one case differ in tp and concurrency alone.
        concurrency: None where a run is saturated.
        predicted: By each of ``MODES``.
    """

    case: tuple[str, ...]
    tp: int
    concurrency: float | None
    measured: float
    predicted: tuple[float, ...]


def tpot_points(rows: Sequence[Row]) -> Iterator[Point]:
    yield from _times(rows, _tpot, lambda seen: seen.tpot_s)


def ttft_points(rows: Sequence[Row]) -> Iterator[Point]:
    """TTFT is predicted with the TPOT that is predicted, as for a layout that nobody measured."""
    yield from _times(rows, _ttft, lambda seen: seen.ttft_s)


def offline_points(rows: Sequence[Row]) -> Iterator[Point]:
    """Yield the tok/s of replicas that are never short of requests."""
    runs = offline_runs(rows)[0]
    if not runs:
        return
    prior = predicted([], runs, USUAL)
    others = held_out(runs, lambda run: run.model, usual).tok_s
    for run, *found in zip(runs, prior, others, strict=True):
        yield Point(
            case=run.case,
            tp=run.tp,
            concurrency=None,
            measured=run.tok_s,
            predicted=tuple(map(float, found)),
        )


def at_once_points(rows: Sequence[Row]) -> Iterator[Point]:
    """Yield the tok/s of batches that were sent at once; of those with copies, one replica's."""
    predictors = (uncalibrated(), calibrate([seen for _, seen in _timed(rows)]))
    for row in rows:
        requests, tok_s = number(row.values, "concurrency"), number(row.values, "out_tok_s")
        read = row_of({**row.values, "load": "closed-loop", "tpot_ms": "1"}).observation
        if row.table != _AT_ONCE or read is None or requests is None or tok_s is None:
            continue
        traffic = read.case.traffic
        load = Offline(
            input_tokens=traffic.input_tokens,
            output_tokens=traffic.output_tokens,
            requests=requests,
        )
        found = [offline_tok_s(each, [read.case.replica], load)[0] for each in predictors]
        yield Point(
            case=_case(row),
            tp=read.case.replica.tp,
            concurrency=requests,
            measured=tok_s,
            predicted=tuple(map(float, found)),
        )


def _times(
    rows: Sequence[Row], predict: Predict, time: Callable[[Observation], float | None]
) -> Iterator[Point]:
    timed = _timed(rows)
    seen = [each for _, each in timed]
    prior = predict(uncalibrated(), seen) if seen else np.zeros(0)
    others = _by_other_models([_model(row) for row, _ in timed], seen, predict)
    for (row, each), *found in zip(timed, prior, others, strict=True):
        yield Point(
            case=_case(row),
            tp=each.case.replica.tp,
            concurrency=each.case.traffic.concurrency,
            measured=time(each) or 0.0,
            predicted=tuple(map(float, found)),
        )


def _by_other_models(models: Sequence[str], seen: Sequence[Observation], predict: Predict) -> Array:
    found = np.zeros(len(seen))
    for model in dict.fromkeys(models):
        inside = np.array([each == model for each in models])
        train = [each for each, held in zip(seen, inside, strict=True) if not held]
        test = [each for each, held in zip(seen, inside, strict=True) if held]
        found[inside] = predict(calibrate(train), test)
    return found


def _timed(rows: Sequence[Row]) -> list[tuple[Row, Observation]]:
    """Return the rows that have both times."""
    seen = [(row, row.observation) for row in rows]
    return [(row, each) for row, each in seen if each and each.tpot_s and each.ttft_s]


def _tpot(predictor: Predictor, seen: Sequence[Observation]) -> Array:
    return predictor.tpot([each.case for each in seen]).seconds


def _ttft(predictor: Predictor, seen: Sequence[Observation]) -> Array:
    cases = [each.case for each in seen]
    return predictor.ttft(cases, predictor.tpot(cases).seconds).seconds


def _case(row: Row) -> tuple[str, ...]:
    return tuple(row.values.get(name, "") for name in _CASE)


def _model(row: Row) -> str:
    return row.values["model"].rpartition("/")[2]
