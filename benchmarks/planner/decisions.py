"""How good the choices are that follow from predictions: the best split within a limit on TPOT.

A case is a device, engine, model, precision and workload. Its candidates are the splits and
concurrencies that were measured, the objective is tok/s per GPU. It is chosen by predictions that
have not seen the workload; then the next run that the planner asks for is "made", which is to say
that its row is shown, and it is chosen again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.planner.online import Figures, Prediction, fitted, measured_tok_s, predict
from benchmarks.planner.rows import Row
from benchmarks.planner.splits import group_of, workload_of
from replicore.planner.choose import Prospects, chance, choose, next_run
from replicore.planner.prediction.fit import Array
from replicore.planner.prediction.predictor import Predictor

TPOT_LIMITS_S = (0.015, 0.025, 0.040)
RUNS = (0, 1, 2, 3)
LEAST_CANDIDATES = 3

# How likely a pick may break the limit. The second is no account of risk at all.
POLICIES: Mapping[str, float] = {"risk 10 %": 0.1, "risk 20 %": 0.2, "any risk": 1.0}

# A run is made where it finds something better with this probability.
_LEAST_CHANCE = 0.05

# Of the same question on the published corpus, facts of others: violations, value; before any run.
PUBLISHED: tuple[Figures, ...] = (
    {"policy": "aiconfigurator 0.12, its 98 cases", "runs": 0, "violations": 0.08, "value": 0.823},
    {"policy": "aiconfigurator 0.12, corrected", "runs": 1, "violations": 0.0, "value": 0.905},
    {"policy": "aiconfigurator 0.12, corrected", "runs": 2, "violations": 0.0, "value": 0.949},
    {"policy": "calibrated roofline, no margin", "runs": 0, "violations": 0.25, "value": 0.708},
    {"policy": "calibrated roofline, 10 % margin", "runs": 0, "violations": 0.14, "value": 0.769},
    {"policy": "calibrated roofline, corrected", "runs": 1, "violations": 0.06, "value": 0.906},
    {"policy": "calibrated roofline, corrected", "runs": 2, "violations": 0.01, "value": 0.969},
    {"policy": "roofline of data sheets", "runs": 0, "violations": 0.72, "value": 0.233},
    {"policy": "roofline of data sheets", "runs": 2, "violations": 0.07, "value": 0.826},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Candidates, and the limit on TPOT that some of them meet and others do not.

    Attributes:
        tok_s: Measured tokens per second and GPU, shape (candidates,).
        tpot_s: Measured likewise.
    """

    candidates: Sequence[Row]
    limit_s: float
    tok_s: Array
    tpot_s: Array

    @property
    def meets(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self.tpot_s <= self.limit_s


@dataclass(frozen=True, slots=True)
class Picked:
    """What was chosen: whether it breaks the limit, and its share of the best objective."""

    violates: bool
    achieved: float


def questions(rows: Iterable[Row]) -> Iterator[Question]:
    for candidates in cases(rows):
        yield from _limits(candidates)


def _limits(candidates: Sequence[Row]) -> Iterator[Question]:
    tok_s = np.array([(measured_tok_s(row) or 0.0) / row.case.replica.tp for row in candidates])
    tpot_s = np.array([row.measured.tpot_s for row in candidates], dtype=np.float64)
    for limit_s in TPOT_LIMITS_S:
        if 0 < int((tpot_s <= limit_s).sum()) < len(candidates):
            yield Question(candidates=candidates, limit_s=limit_s, tok_s=tok_s, tpot_s=tpot_s)


def cases(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the candidates of each case; the first row of those measured more than once."""
    found: dict[object, dict[object, Row]] = defaultdict(dict)
    for row in rows:
        replica, traffic = row.case.replica, row.case.traffic
        deployed = (group_of(row), row.values["model"], row.values["precision"], workload_of(row))
        found[deployed].setdefault((replica.tp, traffic.concurrency), row)
    return [list(each.values()) for each in found.values() if len(each) >= LEAST_CANDIDATES]


class _Beliefs:
    """What is predicted of a case's candidates once some of them are measured; kept."""

    def __init__(self, predictor: Predictor, known: Sequence[Row], candidates: Sequence[Row]):
        self._predictor = predictor
        self._known = known
        self._candidates = candidates
        self._kept: dict[frozenset[int], list[Prediction]] = {}

    def after(self, shown: frozenset[int]) -> list[Prediction]:
        if shown not in self._kept:
            seen = [*self._known, *(self._candidates[place] for place in sorted(shown))]
            predictor = self._predictor
            if shown:
                predictor = predictor.learn([row.measured for row in seen])
            self._kept[shown] = predict(predictor, self._candidates)
        return self._kept[shown]


def decisions(rows: Sequence[Row], given: Sequence[Row] | None = None) -> list[Figures]:
    """Return how each policy fares after no run and after some.

    Args:
        rows: That candidates are of.
        given: What to calibrate on; None: all rows but those of the case's workload.
    """
    picked: dict[tuple[str, int], list[Picked]] = defaultdict(list)
    for out in dict.fromkeys(workload_of(row) for row in rows):
        of_workload = [row for row in rows if workload_of(row) == out]
        known = [row for row in rows if workload_of(row) != out] if given is None else given
        if known and any(questions(of_workload)):
            for policy, runs, pick in _played(of_workload, known):
                picked[policy, runs].append(pick)
    return [_figures(policy, runs, picks) for (policy, runs), picks in picked.items()]


def _played(rows: Sequence[Row], known: Sequence[Row]) -> Iterator[tuple[str, int, Picked]]:
    predictor = fitted(known)
    for candidates in cases(rows):
        beliefs = _Beliefs(predictor, known, candidates)
        for question in _limits(candidates):
            for policy, risk in POLICIES.items():
                for runs, pick in enumerate(_picks(question, beliefs, risk)):
                    yield policy, runs, pick


def _picks(question: Question, beliefs: _Beliefs, risk: float) -> Iterator[Picked]:
    """Yield what is picked after each number of runs."""
    shown: frozenset[int] = frozenset()
    for _ in RUNS:
        prospects = _prospects(question, beliefs.after(shown), shown)
        yield _picked(question, choose(prospects, risk=risk).index)
        run = next_run(prospects, risk=min(risk, _LEAST_CHANCE))
        if run is not None:
            shown |= {run.index}


def _prospects(
    question: Question, predicted: Sequence[Prediction], shown: frozenset[int]
) -> Prospects:
    value = np.array([one.tok_s / one.row.case.replica.tp for one in predicted])
    meets = chance(
        np.array([one.tpot_s for one in predicted]),
        np.array([one.tpot_log_sd for one in predicted]),
        question.limit_s,
    )
    measured = np.array([place in shown for place in range(len(predicted))])
    return Prospects(
        value=np.where(measured, question.tok_s, value),
        log_sd=np.array([one.tok_s_log_sd for one in predicted]),
        meets=np.where(measured, question.meets.astype(np.float64), meets),
        measured=measured,
    )


def _picked(question: Question, index: int) -> Picked:
    best = question.tok_s[question.meets].max()
    return Picked(violates=not question.meets[index], achieved=float(question.tok_s[index] / best))


def _figures(policy: str, runs: int, picks: Sequence[Picked]) -> Figures:
    valid = [pick.achieved for pick in picks if not pick.violates]
    return {
        "policy": policy,
        "runs": runs,
        "questions": len(picks),
        "violations": round(1 - len(valid) / len(picks), 4),
        "exact_best": round(sum(share >= 1.0 for share in valid) / len(picks), 4),
        "achieved_of_valid": round(float(np.mean(valid)), 4) if valid else None,
        "value": round(sum(valid) / len(picks), 4),
    }
