"""Do the prompts of ``[workload]`` fit into what is compiled for prompts? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.engines.neuron.memory import compiled_prompt
from replicore.findings import Finding
from replicore.lints.exceedance import Length, chance_above
from replicore.lints.lengths import RARE, share
from replicore.lints.plan import Plan


def lint_buckets(plan: Plan) -> Iterator[Finding]:
    """Warn of prompts above the longest that is compiled for, and of requests above all buckets."""
    neuron, workload = plan.spec.engine.neuron, plan.spec.workload
    if plan.spec.engine.kind != "neuron" or neuron.generation == "native":
        return
    prompt = Length(workload.input_tokens.mean, workload.input_tokens.stddev)
    output = Length(workload.output_tokens.mean, workload.output_tokens.stddev)
    longest = compiled_prompt(neuron, plan.layout.max_model_len)
    if neuron.context_buckets and max(neuron.context_buckets) < longest:
        longest = max(neuron.context_buckets)
        yield from _too_long("context_buckets", longest, prompt.above(longest), "prompts")
    elif longest < plan.layout.max_model_len:
        yield from _too_long("max_context_length", longest, prompt.above(longest), "prompts")
    if neuron.token_buckets:
        most = max(neuron.token_buckets)
        chance = chance_above(prompt, output, most)
        yield from _too_long("token_buckets", most, chance, "requests, prompt plus output,")


def _too_long(name: str, longest: int, chance: float, what: str) -> Iterator[Finding]:
    if chance <= RARE:
        return
    key = f"engine.neuron.{name}"
    yield Finding(
        level="warning",
        check="buckets",
        message=f"{key}: {share(chance)} of the {what} of [workload] "
        f"{'is' if chance < 0.01 else 'are'} longer than {longest} tokens, the longest that is "
        "compiled for",
        fix=f"a longer {key}, or shorter lengths in [workload]",
        key=key,
    )
