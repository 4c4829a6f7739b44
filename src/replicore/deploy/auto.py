"""The planner as adviser: of the layouts that fit, the one that does most for the spec's workload.

It is asked what ``replicore plan`` is asked, about those layouts alone. Imported only where a spec
leaves a choice: numpy and the calibrations take a tenth of a second.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replicore.deploy.knowledge import predictor_for
from replicore.deploy.picking import Fitting, NoPick, Pick
from replicore.deploy.question import question_of
from replicore.errors import ReplicoreError
from replicore.planner.advice import describe
from replicore.planner.plan import Plan
from replicore.planner.question import Degree, Question
from replicore.planner.recommend import answer_of

if TYPE_CHECKING:
    from replicore.deploy.deployment import Prepared


def advise(prepared: Prepared, fitting: Fitting) -> Pick | NoPick:
    """Return the planner's pick; why it has none where model, machine or engine tell too little.

    A calibration that cannot be read does not keep a deployment from starting: it is why there is
    no pick.
    """
    try:
        question = narrowed(question_of(prepared), fitting)
        answer = answer_of(question, predictor_for(prepared, question))
    except ReplicoreError as error:
        # What would work instead is for `replicore plan` to say: here a rule goes on without it.
        return NoPick(why=error.message.partition("; ")[0])
    return _pick(answer)


def narrowed(question: Question, fitting: Fitting) -> Question:
    """Return the question about nothing but what fits."""
    degrees = (Degree(tp=tp, replicas=count) for tp, count in fitting.degrees.items())
    return replace(
        question,
        degrees=tuple(degrees),
        batch_sizes=(fitting.batch_size,),
        max_model_len=fitting.max_model_len,
        replicas=fitting.replicas,
    )


def _pick(answer: Plan) -> Pick | NoPick:
    best = answer.best
    if best is None:
        return NoPick(why=answer.reason)
    # Whoever prints it says first which layout it is.
    why = answer.reason.removeprefix(f"{describe(best)}: ")
    return Pick(replicas=best.replicas, tp=best.tp, why=why)
