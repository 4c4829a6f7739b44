"""What would change the answer: the same question, asked a little differently. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from replicore.planner.advice import told_s
from replicore.planner.plan import Change, Outcome, Plan
from replicore.planner.question import Lengths, Load, Question

Answer = Callable[[Question], Plan]

# How much a limit is tightened and loosened.
_TIGHTER, _LOOSER = 0.8, 1.25


def changes_of(plan: Plan, answer: Answer) -> Iterator[Change]:
    """Yield the changes of the question that change the pick.

    Args:
        answer: Plans another question.
    """
    for what, question in _others(plan.question):
        other = answer(question)
        pick = other.best if other.feasible else None
        if not _same_layout(pick, plan.best if plan.feasible else None):
            yield Change(what=what, size=pick.size if pick is not None else None)


def _same_layout(one: Outcome | None, other: Outcome | None) -> bool:
    return (one.size if one else None) == (other.size if other else None)


def _others(question: Question) -> Iterator[tuple[str, Question]]:
    yield from _other_limits(question)
    yield from _other_loads(question)
    if question.kept_batch_size is not None:
        yield "any other batch_size", replace(question, own_batch_size=None)
    longer = replace(question.input_tokens, mean=2 * question.input_tokens.mean)
    if _fits(question, longer):
        yield f"prompts of {longer.mean:.0f} tokens", replace(question, input_tokens=longer)


def _fits(question: Question, prompts: Lengths) -> bool:
    return prompts.mean + question.output_tokens.mean <= question.max_model_len


def _other_limits(question: Question) -> Iterator[tuple[str, Question]]:
    slo = question.slo
    for factor, word in ((_TIGHTER, "tighter"), (_LOOSER, "looser")):
        if slo.tpot_p99_s is not None:
            limit = factor * slo.tpot_p99_s
            changed = replace(slo, tpot_p99_s=limit)
            yield f"a {word} TPOT limit, {told_s(limit)}", replace(question, slo=changed)
        if slo.ttft_p99_s is not None:
            limit = factor * slo.ttft_p99_s
            changed = replace(slo, ttft_p99_s=limit)
            yield f"a {word} TTFT limit, {told_s(limit)}", replace(question, slo=changed)


def _other_loads(question: Question) -> Iterator[tuple[str, Question]]:
    load = question.load
    if load.rate_per_s is not None:
        double = Load(rate_per_s=2 * load.rate_per_s)
        yield f"twice the rate, {double.rate_per_s:g} requests/s", replace(question, load=double)
    if load.concurrency is not None:
        double = Load(concurrency=2 * load.concurrency)
        yield f"twice as many in flight, {double.concurrency}", replace(question, load=double)
