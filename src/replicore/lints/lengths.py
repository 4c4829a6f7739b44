"""Do the requests of ``[workload]`` fit into a slot? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from replicore.findings import Finding
from replicore.lints.exceedance import Length, chance_above, rarely_above
from replicore.lints.plan import Plan

if TYPE_CHECKING:
    from replicore.spec import Lengths

# A request in ten thousand that does not fit is one that a benchmark of a thousand hardly meets.
RARE = 1e-4
# What a suggested length lets through, and the multiple that it is rounded up to.
_NEVER = 1e-6
_GRAIN = 512

# What chat templates put around one message: 10 tokens (ChatML) to 50 (Llama 3 with its date).
_TEMPLATE_TOKENS = 50
_TEMPLATE = f"a chat template's tokens, up to about {_TEMPLATE_TOKENS}, come on top"

# On Neuron a decode step reads the KV cache as it was allocated, so unused length costs time.
_FAR_TOO_LONG = 4


def lint_request_lengths(plan: Plan) -> Iterator[Finding]:
    """Tell how likely a request of the workload is longer than a slot."""
    prompt, output = _lengths(plan)
    longest = plan.layout.max_model_len
    chance = chance_above(prompt, output, longest)
    if chance <= RARE:
        yield Finding(level="ok", check="request-lengths", message=_fits(plan, chance))
        return
    yield Finding(
        level="warning",
        check="request-lengths",
        message=f"layout.max_model_len: {share(chance)} of the requests of [workload] "
        f"({_described(plan)}) {'is' if chance < 0.01 else 'are'} longer than {longest} tokens, "
        f"and refused or cut short; {_TEMPLATE} where the input tokens do not count them",
        fix=_longer_or_shorter(plan, rarely_above(prompt, output, _NEVER)),
        key="layout.max_model_len",
    )


def lint_unused_length(plan: Plan) -> Iterator[Finding]:
    """Warn of a compiled length that no request comes near.

    With contiguous KV a decode step costs the same whatever its slots hold.
    Source: optimum-neuron, measured on Qwen3-30B
    """
    given = plan.spec.workload.model_fields_set
    if plan.machine.kind != "neuron" or not given & {"input_tokens", "output_tokens"}:
        return
    needed = rarely_above(*_lengths(plan), _NEVER) + _TEMPLATE_TOKENS
    longest = plan.layout.max_model_len
    if longest < _FAR_TOO_LONG * needed:
        return
    yield Finding(
        level="warning",
        check="unused-length",
        message=f"layout.max_model_len: {longest} tokens are compiled, while hardly a request of "
        f"[workload] ({_described(plan)}) has more than {needed}; on Neuron each decode step reads "
        "the KV cache of the whole compiled length",
        fix=f"layout.max_model_len = {_rounded_up(needed)}",
        key="layout.max_model_len",
    )


def _lengths(plan: Plan) -> tuple[Length, Length]:
    workload = plan.spec.workload
    return _length(workload.input_tokens), _length(workload.output_tokens)


def _length(lengths: Lengths) -> Length:
    return Length(lengths.mean, lengths.stddev)


def _fits(plan: Plan, chance: float) -> str:
    text = (
        f"layout.max_model_len: {share(chance)} of the requests of [workload] "
        f"({_described(plan)}) {'is' if chance < 0.01 else 'are'} longer than "
        f"{plan.layout.max_model_len} tokens"
    )
    with_template = chance_above(*_lengths(plan), plan.layout.max_model_len - _TEMPLATE_TOKENS)
    if with_template <= RARE:
        return text
    return f"{text}; {_TEMPLATE} where the input tokens do not count them: {share(with_template)}"


def _longer_or_shorter(plan: Plan, needed: int) -> str:
    enough = _rounded_up(needed)
    if enough <= plan.shape.max_model_len:
        return f"layout.max_model_len = {enough}"
    if needed <= plan.shape.max_model_len:
        return f"layout.max_model_len = {plan.shape.max_model_len}"
    mean = plan.spec.workload.input_tokens.mean - (needed - plan.layout.max_model_len)
    if mean < 1:
        return "shorter workload.input_tokens and workload.output_tokens"
    return f"workload.input_tokens.mean = {mean}"


def _rounded_up(tokens: int) -> int:
    return -(-tokens // _GRAIN) * _GRAIN


def _described(plan: Plan) -> str:
    workload = plan.spec.workload
    prompt, output = _text(workload.input_tokens), _text(workload.output_tokens)
    return f"input {prompt} plus output {output}"


def _text(lengths: Lengths) -> str:
    return f"{lengths.mean}±{lengths.stddev}" if lengths.stddev else str(lengths.mean)


def share(chance: float) -> str:
    """Return a chance for people: ``12 %``, ``1 in 3,800``, ``none``."""
    if chance >= 0.01:
        return f"{chance:.0%}".replace("%", " %")
    if chance < 1e-12:
        return "none"
    return f"1 in {float(f'{1 / chance:.2g}'):,.0f}"
