"""What one replica needs in device memory. Pure.

Every core has its own memory, and rank 0 needs the most: it keeps the embedding and the output
layer whole. So a replica needs what rank 0 needs, times its cores.

Measured for Llama 3.1 8B on 8 cores of inf2, 32 slots of 4096 tokens: 8029 MiB on rank 0, 5600 MiB
on each of the others; this says 7923 MiB.

Source: optimum-neuron commit 6373c379; SDK neuron-runtime device memory guide.
"""

from __future__ import annotations

from replicore.errors import InfeasiblePlan
from replicore.models.shape import ModelShape
from replicore.spec.tables import NeuronSpec
from replicore.units import MIB

# Shared scratchpad 1024, collectives 472, DMA rings 392, code 319 MiB on rank 0
OVERHEAD_BYTES = 2207 * MIB

# What a paged cache must hold of each slot to be of use, in tokens
_USUAL_TOKENS = 1024


def replica_memory_bytes(
    shape: ModelShape,
    spec: NeuronSpec,
    *,
    tp: int,
    lnc: int,
    batch_size: int,
    max_model_len: int,
    paged: bool,
) -> int:
    """Return ``tp`` times the need of rank 0: weights, KV cache, attention scores, overhead.

    Args:
        paged: Sequences take what they have of the KV cache; otherwise all of it is allocated.

    Raises:
        InfeasiblePlan: More prompt is to be compiled for than fits into a sequence.
    """
    element = _element_bytes(spec)
    prompt = compiled_prompt(spec, max_model_len)
    if paged:
        tokens = max(max_model_len, batch_size * min(_USUAL_TOKENS, max_model_len))
        scores = 0
    else:
        tokens = batch_size * max_model_len
        scores = _score_bytes(shape, spec, tp=tp, lnc=lnc, prompt=prompt)
    rank0 = (
        shape.weight_bytes * _widening(spec) // tp
        + _unsharded_bytes(shape, tp, element)
        + tokens * _kv_bytes_per_token(shape, tp, element)
        + scores
        + OVERHEAD_BYTES
    )
    return tp * rank0


def compiled_prompt(spec: NeuronSpec, max_model_len: int) -> int:
    """Return the longest prompt that is compiled for, in tokens.

    Raises:
        InfeasiblePlan: It, or a bucket, is longer than a sequence.
    """
    prompt = spec.max_context_length or max_model_len
    length = "layout.max_model_len"
    limits = {
        "max_context_length": (prompt, length, max_model_len),
        "context_buckets": (max(spec.context_buckets, default=0), "the longest prompt", prompt),
        "token_buckets": (max(spec.token_buckets, default=0), length, max_model_len),
    }
    for key, (found, what, most) in limits.items():
        if found > most:
            raise InfeasiblePlan(
                f"engine.neuron.{key}: {found} is more than {what}, which is {most}; "
                f"use {most} or less"
            )
    return prompt


def heads_per_rank(shape: ModelShape, tp: int) -> int:
    """Return the key/value heads that each core keeps.

    Fewer heads than cores are copied. Where neither number divides the other, keys and values get
    as many heads as queries.

    Source: NxD Inference, ``gqa.py``.
    """
    if shape.kv_heads % tp == 0 or tp % shape.kv_heads == 0:
        return -(-shape.kv_heads // tp)
    return -(-shape.heads // tp)


def _kv_bytes_per_token(shape: ModelShape, tp: int, element: int) -> int:
    return 2 * shape.layers * heads_per_rank(shape, tp) * shape.head_dim * element


def _unsharded_bytes(shape: ModelShape, tp: int, element: int) -> int:
    """What rank 0 has of embedding and output layer beyond its part of them."""
    whole = 2 * shape.vocab * shape.hidden * element
    return whole - whole // tp


def _score_bytes(shape: ModelShape, spec: NeuronSpec, *, tp: int, lnc: int, prompt: int) -> int:
    if has_flash_attention(spec, lnc=lnc, prompt=prompt):
        return 0
    return -(-shape.heads // tp) * prompt**2 * _element_bytes(spec)


def has_flash_attention(spec: NeuronSpec, *, lnc: int, prompt: int) -> bool:
    """Whether a prompt of this compiled length is worked through without all of its scores.

    Source: NxD Inference 0.3, ``attention_base.py``, ``get_flash_attention_strategy``.
    """
    if lnc > 1:
        return prompt % (512 if prompt >= 1024 else 256) == 0
    return prompt >= 4096 or ("attn" in spec.kernels and prompt >= 512)


def _element_bytes(spec: NeuronSpec) -> int:
    return 4 if spec.dtype == "float32" else 2


def _widening(spec: NeuronSpec) -> int:
    """Nearly all files have weights of 16 bits."""
    return _element_bytes(spec) // 2
