"""A calibrated replica as the steps that a simulation is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from replicore.engines.sim.steptime import StepTime
from replicore.planner.prediction.breakdown import Breakdown, tpot_breakdown, ttft_breakdown
from replicore.planner.prediction.predictor import Predictor
from replicore.planner.step.terms import mean_context, running
from replicore.planner.step.traffic import Case

# Of TPOT, what every step has whatever is in it.
_FIXED = ("weights", "launch", "hops", "fixed")

# What a step of nothing but a prompt has besides the prompt.
_PREFILL_FIXED = ("fixed", "launch", "hops")


def steps_of(case: Case, predictor: Predictor) -> StepTime:
    """Return steps that take on average what is predicted for a case.

    The terms of TPOT are divided by what each grows with: sequences, or the tokens that they attend
    to. A compiled batch takes the same whoever is there. A prompt takes what it does of TTFT.
    """
    tpot, ttft = tpot_breakdown(case, predictor), ttft_breakdown(case, predictor)
    sequences = max(1.0, running(case))
    inputs = case.traffic.input_tokens
    # Of the bytes that are sent, the prompts' part is in their own time.
    decoded = case.traffic.output_tokens / (case.traffic.output_tokens + inputs)
    sent = _seconds(tpot, ["transfer"]) * decoded
    each = _seconds(tpot, ["compute", "sequences"]) + sent
    read = _seconds(tpot, ["kv"])
    fixed = _seconds(tpot, _FIXED)
    prompts = {
        "prefill_s": _seconds(ttft, _PREFILL_FIXED),
        "prompt_token_s": _seconds(ttft, ["prompt", "transfer"]) / inputs,
    }
    if case.replica.static is not None:
        return StepTime(decode_s=fixed + each + read, **prompts)
    return StepTime(
        decode_s=fixed,
        sequence_s=each / sequences,
        context_token_s=read / (sequences * mean_context(case)),
        **prompts,
    )


def _seconds(found: Breakdown, names: Iterable[str]) -> float:
    """Return what terms take together, with the correction of nearby measurements."""
    wanted = frozenset(names)
    return found.correction * sum(term.seconds for term in found.terms if term.name in wanted)
