"""Answer a question: what every layout does, and which is best. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log

import numpy as np

from replicore.errors import InfeasiblePlan
from replicore.planner.advice import reason
from replicore.planner.changes import changes_of
from replicore.planner.choose import Prospects, choose
from replicore.planner.layouts import Layout, Refused, layouts_of, refused_of
from replicore.planner.memory.rank import RankMemory
from replicore.planner.plan import Outcome, Plan
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Load, Question, Slo
from replicore.planner.serving.curves import Curves
from replicore.planner.serving.service import TOO_BUSY, service_of

# Below such a probability of meeting the SLO layouts are not told apart by it.
_HOPELESS = 0.005


def plan(question: Question, predictor: Predictor) -> Plan:
    """Return the answer, with what would change it."""
    planner = Planner(predictor)
    answer = planner.answer(question)
    return replace(answer, changes=tuple(changes_of(answer, planner.answer)))


def answer_of(question: Question, predictor: Predictor) -> Plan:
    """Return the answer alone."""
    return Planner(predictor).answer(question)


class Planner:
    """Answers questions; those that differ in limits or load only share what is predicted."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._grounds: dict[Question, _Grounds] = {}

    def answer(self, question: Question) -> Plan:
        """Return the answer alone."""
        grounds = self._grounds_of(question)
        found = [_outcome(question, self._predictor, grounds.curves, f) for f in grounds.fitting]
        ranked = rank(question, found)
        answer = Plan(
            question=question,
            outcomes=(*ranked, *grounds.refused),
            best=ranked[0] if ranked else None,
            feasible=bool(ranked) and _meets(ranked[0]) >= 1 - question.risk,
            reason="",
            calibrated_from=_source(self._predictor, ranked[0]) if ranked else "",
        )
        return replace(answer, reason=reason(answer))

    def _grounds_of(self, question: Question) -> _Grounds:
        bare = replace(question, slo=Slo(), load=Load(), own_batch_size=None)
        if bare not in self._grounds:
            self._grounds[bare] = _Grounds.of(bare, self._predictor)
        return self._grounds[bare]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grounds:
    """What holds whatever the limits and the load are.

    Attributes:
        fitting: Layouts that can be run.
        refused: The others.
    """

    fitting: list[_Fitting]
    refused: list[Outcome]
    curves: Curves

    @classmethod
    def of(cls, question: Question, predictor: Predictor) -> _Grounds:
        fitting, too_large = _by_memory(question)
        refused = [_refused(each) for each in refused_of(question)]
        curves = Curves(question, predictor, [each.layout for each in fitting])
        return cls(fitting=fitting, refused=too_large + refused, curves=curves)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitting:
    layout: Layout
    memory: RankMemory


def _by_memory(question: Question) -> tuple[list[_Fitting], list[Outcome]]:
    """Return the layouts whose memory suffices, and the others as refused."""
    fitting, too_large = [], []
    for layout in layouts_of(question):
        memory, refusal = _memory(question, layout)
        if memory is not None and not refusal:
            fitting.append(_Fitting(layout=layout, memory=memory))
        else:
            too_large.append(_refused(Refused(layout=layout, reason=refusal), memory))
    return fitting, too_large


def _memory(question: Question, layout: Layout) -> tuple[RankMemory | None, str]:
    try:
        return question.memory(
            replicas=layout.replicas,
            tp=layout.tp,
            batch_size=layout.batch_size,
            max_model_len=question.max_model_len,
        )
    except InfeasiblePlan as error:
        return None, error.message


def _refused(refused: Refused, memory: RankMemory | None = None) -> Outcome:
    layout = refused.layout
    return Outcome(
        replicas=layout.replicas,
        tp=layout.tp,
        batch_size=layout.batch_size,
        refusal=refused.reason,
        memory=memory,
    )


def _outcome(
    question: Question, predictor: Predictor, curves: Curves, fitting: _Fitting
) -> Outcome:
    layout, memory = fitting.layout, fitting.memory
    kv_tokens = memory.kv_tokens if question.paged else None
    service = service_of(question, layout, curves.of(layout), kv_tokens)
    beyond = predictor.calibration(service.case).beyond(service.case)
    return Outcome(
        replicas=layout.replicas,
        tp=layout.tp,
        batch_size=layout.batch_size,
        memory=memory,
        service=replace(service, beyond=beyond),
    )


def rank(question: Question, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return outcomes with a service, the best first; before all others those of kept slots."""
    kept = [each for each in outcomes if each.batch_size == question.kept_batch_size]
    others = [each for each in outcomes if each.batch_size != question.kept_batch_size]
    return [*_ranked(question, kept), *_ranked(question, others)]


def _ranked(question: Question, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return outcomes, the best first.

    Best is what :func:`choose` picks. Where nothing is as safe as the risk asks, it picks among
    those that are nearly as safe as the safest. Then come those as safe, by their worth; then the
    others, the safest first. Where there is no hope at all, the least shortfall decides.
    """
    if not outcomes:
        return []
    values = np.array([value_of(question, each) for each in outcomes])
    meets = np.array([_meets(each) for each in outcomes])
    prospects = Prospects(
        value=values,
        log_sd=np.array([each.service.log_sd if each.service else 0.0 for each in outcomes]),
        meets=meets,
        measured=np.zeros(len(outcomes), dtype=np.bool_),
    )
    risk = _accepted(question.risk, safest=float(meets.max()))
    if prospects.meets.max() < _HOPELESS:
        return sorted(outcomes, key=lambda each: shortfall(question, each))
    best = choose(prospects, risk=risk).index
    worth = np.where(meets >= 1 - risk, values * meets, 0.0)
    order = np.lexsort((-values, -meets, -worth, np.arange(len(outcomes)) != best))
    return [outcomes[index] for index in order]


def shortfall(question: Question, outcome: Outcome) -> float:
    """Return by how much the worst limit is missed, as a logarithm; below 0 where none is."""
    service, slo = outcome.service, question.slo
    if service is None:
        return inf
    missed = [log(service.utilisation / TOO_BUSY)] if question.load.rate_per_s else []
    if slo.tpot_p99_s is not None:
        missed.append(log(service.tpot_p99_s.value / slo.tpot_p99_s))
    if slo.ttft_p99_s is not None and service.ttft_p99_s is not None:
        missed.append(log(service.ttft_p99_s.value / slo.ttft_p99_s))
    return max(missed, default=0.0)


def _accepted(risk: float, *, safest: float) -> float:
    """Return the risk to choose with: as asked, or as much above that of the safest layout."""
    return risk if safest >= 1 - risk else min(1.0, 1 - safest + risk)


def value_of(question: Question, outcome: Outcome) -> float:
    """Return what is to be as much as possible: output tok/s; at a given rate, those of one core.

    All layouts that keep up with a rate give the same tokens, so the one on fewest cores is best;
    of several such, the one whose requests take the shortest.
    """
    service = outcome.service
    if service is None:
        return 0.0
    if question.load.rate_per_s is None:
        return service.tokens_per_s.value
    return service.tokens_per_s.value / outcome.cores / (1 + service.tpot_s.value)


def _meets(outcome: Outcome) -> float:
    return outcome.service.meets if outcome.service is not None else 0.0


def _source(predictor: Predictor, best: Outcome) -> str:
    if best.service is None:
        return ""
    calibration = predictor.calibration(best.service.case)
    if not calibration.rows:
        return (
            "nothing measured on this device with this engine; `replicore tune` on such a machine "
            "measures it"
        )
    return f"{calibration.rows} measurements ({calibration.source})"
