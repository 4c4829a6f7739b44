"""What another layout would do, from what one was measured to do. Pure.

Both are predicted by the same model, so what it has wrong in both cancels: only the ratio of the
two predictions counts. That is what learning the measurement does, and it says how far it reaches:
the further apart the two layouts are, the less cancels and the wider the interval is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from replicore.errors import InfeasiblePlan
from replicore.planner.layouts import Layout
from replicore.planner.plan import Outcome
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.question import Degree, Lengths, Load, Question
from replicore.planner.recommend import answer_of
from replicore.planner.step.traffic import Observation, newest


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A layout that was measured, and one that was not, under the same load.

    Attributes:
        measured: What was measured, of one replica.
        tokens_per_s: Output of all replicas that follows from it.
        model_tpot_s: What the model says of the measured layout without having seen it.
        model_ttft_s: Likewise.
        before: The other layout without the measurement.
        after: The same with it.
    """

    measured: Observation
    layout: Layout
    tokens_per_s: float
    model_tpot_s: float
    model_ttft_s: float
    before: Outcome
    after: Outcome


def what_if(
    question: Question, predictor: Predictor, measured: Observation, layout: Layout, other: Layout
) -> WhatIf:
    """Return what ``other`` would do under the load that ``layout`` was measured with.

    Raises:
        InfeasiblePlan: ``other`` cannot be run.
    """
    tpot = predictor.tpot([measured.case])
    ttft = predictor.ttft([measured.case], tpot.seconds)
    asked = _same_load(question, measured, layout, other)
    return WhatIf(
        measured=measured,
        layout=layout,
        tokens_per_s=_tokens_per_s(measured, layout),
        model_tpot_s=float(tpot.seconds[0]),
        model_ttft_s=float(ttft.seconds[0]),
        before=_only(asked, predictor),
        after=_only(asked, predictor.learn(newest([*predictor.observations, measured]))),
    )


def _same_load(
    question: Question, measured: Observation, layout: Layout, other: Layout
) -> Question:
    traffic = measured.case.traffic
    degrees = tuple(each for each in question.degrees if each.tp == other.tp)
    return replace(
        question,
        input_tokens=Lengths(mean=traffic.input_tokens),
        output_tokens=Lengths(mean=traffic.output_tokens),
        load=Load(concurrency=round(traffic.concurrency * layout.replicas)),
        degrees=degrees or (_unknown(other.tp),),
        replicas=other.replicas,
        batch_sizes=(other.batch_size,),
    )


def _unknown(tp: int) -> Degree:
    return Degree(tp=tp, replicas=0, refusal=f"{tp} cores are no replica on this machine")


def _only(question: Question, predictor: Predictor) -> Outcome:
    (outcome, *_) = answer_of(question, predictor).outcomes
    if outcome.service is None:
        raise InfeasiblePlan(f"{outcome.size} cannot be run: {outcome.refusal}")
    return outcome


def _tokens_per_s(measured: Observation, layout: Layout) -> float:
    """Return B O / (TTFT + TPOT (O - 1)) of all replicas: Little's law."""
    traffic = measured.case.traffic
    decode = (measured.tpot_s or 0.0) * (traffic.output_tokens - 1)
    each = traffic.concurrency * traffic.output_tokens / ((measured.ttft_s or 0.0) + decode)
    return layout.replicas * each
