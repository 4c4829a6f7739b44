"""How far predictions of TTFT, TPOT and throughput are off, for rows of closed loops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planner.rows import Row, number
from benchmarks.planner.splits import SPLITS, Split, group_of
from replicore.planner.prediction.calibrate import calibrate
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Predictor, Times

Figures = dict[str, object]

METRICS = ("TPOT", "TTFT", "throughput")
KINDS = ("dense", "experts")

# What is between the 10th and the 90th percentile of a normal distribution.
_WITHIN_80 = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A row, and what was predicted of it: the median and the log's standard deviation.

    Throughput is output tokens per second of the replica.
    """

    row: Row
    tpot_s: float
    tpot_log_sd: float
    ttft_s: float
    ttft_log_sd: float

    @property
    def tok_s(self) -> float:
        return throughput(self.row, self.ttft_s, self.tpot_s)

    @property
    def tok_s_log_sd(self) -> float:
        """That of E2E latency; TTFT and TPOT are taken to be off in the same direction."""
        ttft = self.ttft_s / (self.ttft_s + self.tpot_s * _steps(self.row))
        return ttft * self.ttft_log_sd + (1 - ttft) * self.tpot_log_sd

    def log_errors(self) -> dict[str, tuple[float, float]]:
        """Return log(predicted / measured) and its expected standard deviation, by metric."""
        seen = self.row.measured
        pairs = {
            "TPOT": (self.tpot_s, seen.tpot_s, self.tpot_log_sd),
            "TTFT": (self.ttft_s, seen.ttft_s, self.ttft_log_sd),
            "throughput": (self.tok_s, measured_tok_s(self.row), self.tok_s_log_sd),
        }
        return {
            metric: (float(np.log(predicted / measured)), log_sd)
            for metric, (predicted, measured, log_sd) in pairs.items()
            if measured is not None
        }


def _steps(row: Row) -> float:
    return max(0.0, row.case.traffic.output_tokens - 1)


def throughput(row: Row, ttft_s: float, tpot_s: float) -> float:
    """Return the tokens per second of a closed loop: C O / (TTFT + TPOT (O - 1))."""
    traffic = row.case.traffic
    return traffic.concurrency * traffic.output_tokens / (ttft_s + tpot_s * _steps(row))


def measured_tok_s(row: Row) -> float | None:
    """Return the throughput that was reported; what follows from TTFT and TPOT where none was."""
    reported = number(row.values, "out_tok_s")
    if reported is not None and row.values.get("out_tok_s_basis", "").startswith("reported"):
        return reported
    seen = row.measured
    if seen.ttft_s is None or seen.tpot_s is None:
        return None
    return throughput(row, seen.ttft_s, seen.tpot_s)


def fitted(rows: Iterable[Row]) -> Predictor:
    seen = [row.measured for row in rows]
    return calibrate(seen).learn(seen)


def predict(predictor: Predictor, rows: Sequence[Row]) -> list[Prediction]:
    cases = [row.case for row in rows]
    tpot = predictor.tpot(cases)
    ttft = predictor.ttft(cases, tpot.seconds)
    return [_prediction(row, place, ttft, tpot) for place, row in enumerate(rows)]


def _prediction(row: Row, place: int, ttft: Times, tpot: Times) -> Prediction:
    return Prediction(
        row=row,
        tpot_s=float(tpot.seconds[place]),
        tpot_log_sd=float(tpot.log_sd[place]),
        ttft_s=float(ttft.seconds[place]),
        ttft_log_sd=float(ttft.log_sd[place]),
    )


def held_out(split: Split, rows: Sequence[Row]) -> list[Prediction]:
    """Return the predictions of all rows that a split holds out."""
    return [
        prediction
        for calibration, out in split(rows)
        for prediction in predict(fitted(calibration), out)
    ]


def kind_of(row: Row) -> str:
    return KINDS[row.case.replica.anatomy.experts is not None]


def figures(split: str, predictions: Sequence[Prediction]) -> list[Figures]:
    """Return errors of each kind of model and metric: all rows, then each device and engine."""
    found = []
    for kind in KINDS:
        of_kind = [one for one in predictions if kind_of(one.row) == kind]
        groups = dict.fromkeys(group_of(one.row) for one in of_kind)
        for metric in METRICS:
            if of_kind:
                found.append(_figures(split, kind, ("all", "all"), metric, of_kind))
            for group in sorted(groups) if len(groups) > 1 else ():
                of_group = [one for one in of_kind if group_of(one.row) == group]
                found.append(_figures(split, kind, group, metric, of_group))
    return found


def _figures(
    split: str, kind: str, group: tuple[str, str], metric: str, predictions: Sequence[Prediction]
) -> Figures:
    errors = np.array([e[metric] for one in predictions if metric in (e := one.log_errors())])
    told = {"split": split, "models": kind, "hardware": group[0], "engine": group[1]}
    return {**told, "metric": metric, "predictions": len(errors), **_off(errors)}


def _off(errors: Array) -> dict[str, object]:
    """Return absolute percentage errors, and how often the 80 % interval held the truth."""
    if not len(errors):
        return {"median": None, "mean": None, "p90": None, "within_80": None}
    off = np.abs(np.exp(errors[:, 0]) - 1)
    within = np.abs(errors[:, 0]) <= _WITHIN_80 * errors[:, 1]
    return {
        "median": round(float(np.median(off)), 4),
        "mean": round(float(off.mean()), 4),
        "p90": round(float(np.quantile(off, 0.9)), 4),
        "within_80": round(float(within.mean()), 3),
    }


def coverage(rows: Sequence[Row]) -> Figures:
    """Return how many rows are answered, and why others are not."""
    refusals = Counter(row.refusal for row in rows if row.observation is None)
    return {
        "rows": len(rows),
        "answered": len(rows) - refusals.total(),
        "refused": dict(refusals.most_common()),
    }


def cross_validated(rows: Sequence[Row]) -> list[Figures]:
    """Return the errors of all splits, models without and with experts split on their own."""
    found = []
    for name, split in SPLITS.items():
        for kind in KINDS:
            of_kind = [row for row in rows if kind_of(row) == kind]
            found += figures(name, held_out(split, of_kind)) if of_kind else []
    return found
