"""Are prompts compiled for a length that the flash attention kernel takes? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.engines.neuron.memory import compiled_prompt, has_flash_attention
from replicore.findings import Finding
from replicore.lints.plan import Plan

# Below it a prompt's scores are small, and NxD Inference has rules of its own.
_LONG = 1024
_MULTIPLE = 512

_LENGTH = "layout.max_model_len"


def lint_flash_attention(plan: Plan) -> Iterator[Finding]:
    """Warn of a compiled prompt for which NxD Inference leaves the kernel out without a word."""
    neuron = plan.spec.engine.neuron
    if plan.spec.engine.kind != "neuron" or neuron.generation == "native":
        return
    prompt = compiled_prompt(neuron, plan.layout.max_model_len)
    lnc = neuron.lnc or (2 if plan.machine.name.startswith(("trn2", "trn3")) else 1)
    if lnc == 1 or prompt < _LONG or has_flash_attention(neuron, lnc=lnc, prompt=prompt):
        return
    key = "engine.neuron.max_context_length" if neuron.max_context_length else _LENGTH
    yield Finding(
        level="warning",
        check="flash-attention",
        message=f"{key}: prompts are compiled for {prompt} tokens, which is no multiple of "
        f"{_MULTIPLE}, so NxD Inference compiles them without its flash attention kernel",
        fix=f"{key} = {-(-prompt // _MULTIPLE) * _MULTIPLE}",
        key=key,
    )
