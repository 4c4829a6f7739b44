"""From a GGUF file's metadata and its list of tensors to a model's anatomy.

The tensors tell more than the metadata: which biases there are, whether the output layer is the
embedding, and in how many bytes each part is stored, as quantisations mix types.

Source: the names of tensors in the `gguf` package, ``constants.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from replicore.models.anatomy import Anatomy
from replicore.models.gguf_header import Tensor
from replicore.models.gguf_metadata import GgufMetadata
from replicore.models.parts import Experts, LatentAttention, WeightFormat, Window
from replicore.models.shape import ModelShape

# Part -> the tensors that belong to it; the first that fits wins.
_PARTS = tuple(
    (part, re.compile(pattern))
    for part, pattern in {
        "embedding": r"token_embd\.",
        "head": r"output\.",
        "positions": r"position_embd\.",
        "router": r"blk\.\d+\.(ffn_gate_inp|exp_probs_b)",
        "experts": r"blk\.\d+\.ffn_\w+_exps\.weight",
        "expert biases": r"blk\.\d+\.ffn_\w+_exps\.bias",
        "shared": r"blk\.\d+\.ffn_\w+_shexp\.",
        "norms": r".*norm|blk\.\d+\.attn_sinks",
        "mlp": r"blk\.\d+\.ffn_",
        "latent": r"blk\.\d+\.attn_(q_a|kv_a_mqa)\.",
        "kv": r"blk\.\d+\.attn_[kv]\.",
        "attention": r"blk\.\d+\.attn_",
        "linear": r"blk\.\d+\.ssm_",
    }.items()
)

# Tensors that there may be fewer than counted, as a share
_TOLERANCE = 0.02


def gguf_anatomy(
    shape: ModelShape, metadata: GgufMetadata, tensors: Sequence[Tensor]
) -> Anatomy | None:
    """Return the anatomy of the model with these tensors; ``shape`` has the common sizes.

    None where they are fewer than its parameters: then it is put together in another way.
    """
    anatomy = _counted(shape, metadata, tensors)
    beyond = sum(tensor.elements for tensor in tensors) - anatomy.parameters
    if beyond < -_TOLERANCE * anatomy.parameters:
        return None
    return replace(anatomy, other=max(0, beyond))


def _counted(shape: ModelShape, metadata: GgufMetadata, tensors: Sequence[Tensor]) -> Anatomy:
    names = {tensor.name for tensor in tensors}
    first = frozenset(name.partition("blk.0.")[2] for name in names if name.startswith("blk.0."))
    experts = _experts(shape, metadata, tensors)
    return Anatomy(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        vocab=shape.vocab,
        intermediate=metadata.size("feed_forward_length", 4 * shape.hidden),
        mlp_matrices=3 if experts or "ffn_gate.weight" in first or not first else 2,
        tied="output.weight" not in names,
        qkv_bias=bool({"attn_q.bias", "attn_qkv.bias"} & first),
        output_bias="attn_output.bias" in first,
        mlp_bias="ffn_down.bias" in first,
        qk_norm=_elements(tensors, r"blk\.0\.attn_[qk]_norm\."),
        sinks="attn_sinks.weight" in first,
        norm_vectors=_elements(tensors, r"blk\.0\.(?!attn_[qk]_).*norm") // shape.hidden or 2,
        positions=_elements(tensors, r"position_embd\.") // shape.hidden,
        experts=experts,
        latent=_latent(metadata),
        window=_window(metadata, shape.layers),
        weights=_weights(tensors),
    )


def _elements(tensors: Iterable[Tensor], pattern: str) -> int:
    """Return the elements of all tensors whose names begin so."""
    named = re.compile(pattern)
    return sum(tensor.elements for tensor in tensors if named.match(tensor.name))


def _experts(
    shape: ModelShape, metadata: GgufMetadata, tensors: Sequence[Tensor]
) -> Experts | None:
    count = metadata.size("expert_count", 1)
    if count < 2:
        return None
    width = metadata.size("expert_feed_forward_length", metadata.size("feed_forward_length"))
    shared = width * metadata.size("expert_shared_count", 0)
    return Experts(
        layers=shape.layers - metadata.size("leading_dense_block_count", 0),
        count=count,
        per_token=min(count, metadata.size("expert_used_count", 2)),
        intermediate=width,
        shared_intermediate=metadata.size("expert_shared_feed_forward_length", shared),
        router_bias=_elements(tensors, r"blk\.\d+\.(exp_probs_b|ffn_gate_inp\.bias)") > 0,
        biases=_elements(tensors, r"blk\.\d+\.ffn_\w+_exps\.bias") > 0,
        shared_gate=_elements(tensors, r"blk\.\d+\.ffn_gate_inp_shexp") > 0,
    )


def _latent(metadata: GgufMetadata) -> LatentAttention | None:
    kv_rank = metadata.size("attention.kv_lora_rank", 0)
    if not kv_rank:
        return None
    rope = metadata.size("rope.dimension_count", 64)
    # Newer files have the sizes of a head under keys of their own, ending in _mla.
    key = metadata.size("attention.key_length_mla", metadata.size("attention.key_length", 192))
    value = metadata.size(
        "attention.value_length_mla", metadata.size("attention.value_length", 128)
    )
    return LatentAttention(
        query_rank=metadata.size("attention.q_lora_rank", 0),
        kv_rank=kv_rank,
        rope_dim=rope,
        nope_dim=max(0, key - rope),
        value_dim=value,
    )


def _window(metadata: GgufMetadata, layers: int) -> Window | None:
    tokens = metadata.size("attention.sliding_window", 0)
    if not tokens:
        return None
    # As llama.cpp has them, where the file does not say it
    usual = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "llama4": 4}.get(metadata.architecture)
    period = metadata.size("attention.sliding_window_pattern", usual or 0)
    return Window(tokens=tokens, layers=layers - layers // period if period > 1 else layers)


def _weights(tensors: Iterable[Tensor]) -> WeightFormat:
    """Return the mean bytes of a parameter in each part, exact in their sum."""
    elements: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    for tensor in tensors:
        part = _part(tensor.name)
        if part is not None and tensor.stored:
            elements[part] += tensor.elements
            stored[part] += tensor.stored
    sizes = {part: stored[part] / elements[part] for part in elements}
    if "attention" in sizes:
        # Some families have queries, keys and values in one tensor.
        sizes.setdefault("kv", sizes["attention"])
    return WeightFormat(name="gguf", quantised=tuple(sorted(sizes.items())))


def _part(name: str) -> str | None:
    return next((part for part, pattern in _PARTS if pattern.match(name)), None)
