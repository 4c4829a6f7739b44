"""Into how many ranks vLLM can split a model, and which of its sizes forbid the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.models.anatomy import Anatomy
from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape

# vLLM pads the vocabulary to a multiple of it before it splits it.
VOCABULARY_STEP = 64

# Kernels pad what they take in mxfp4.
_PADDED = frozenset({"mxfp4"})


def split_problems(shape: ModelShape, tp: int) -> tuple[str, ...]:
    """Return why ``shape`` cannot be split into ``tp`` ranks, one sentence each; none if it can.

    Attention heads are dealt out evenly. So are key/value heads; where there are fewer of them
    than ranks, each is kept by as many ranks as there are to one head, a whole number. Widths of
    MLPs that are not known forbid nothing.

    Source: vLLM, ``ModelConfig.verify_with_parallel_config``, ``VocabParallelEmbedding`` and the
    checks of the quantised linear layers.
    """
    model = anatomy_of(shape)
    found = [*_head_problems(model, tp), *_vocabulary_problems(model, tp)]
    if shape.anatomy is not None:
        found += [*_width_problems(model, tp), *_group_problems(model, tp)]
    return tuple(found)


def _head_problems(model: Anatomy, tp: int) -> Iterator[str]:
    if model.heads % tp:
        yield f"num_attention_heads = {model.heads} is not divisible by tp = {tp}"
    more, fewer = max(tp, model.kv_heads), min(tp, model.kv_heads)
    if model.latent is None and more % fewer:
        yield (
            f"num_key_value_heads = {model.kv_heads} is neither divisible by tp = {tp} "
            "nor does it divide it"
        )


def _vocabulary_problems(model: Anatomy, tp: int) -> Iterator[str]:
    padded = -(-model.vocab // VOCABULARY_STEP) * VOCABULARY_STEP
    if padded % tp:
        yield f"vocab_size = {model.vocab}, padded to {padded}, is not divisible by tp = {tp}"


def _width_problems(model: Anatomy, tp: int) -> Iterator[str]:
    for name, width in _widths(model):
        if width % tp:
            yield f"{name} = {width} is not divisible by tp = {tp}"


def _group_problems(model: Anatomy, tp: int) -> Iterator[str]:
    group = model.weights.group
    quantised = {part for part, _ in model.weights.quantised}
    if group == 1 or tp == 1 or model.weights.name in _PADDED:
        return
    for name, width in _widths(model):
        part = "experts" if name == "moe_intermediate_size" else "mlp"
        if part in quantised and width % tp == 0 and width // tp % group:
            yield (
                f"{name} = {width} leaves {width // tp} for each of tp = {tp} ranks, "
                f"no multiple of the {group} values that share a scale"
            )


def _widths(model: Anatomy) -> Iterator[tuple[str, int]]:
    """Yield the widths of the MLPs that the model has, by the names of ``config.json``."""
    moe = model.experts
    if moe is None or moe.layers < model.layers:
        yield "intermediate_size", model.intermediate
    if moe is not None:
        yield "moe_intermediate_size", moe.intermediate
