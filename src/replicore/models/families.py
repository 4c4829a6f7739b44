"""What model families have that their ``config.json`` does not say. Pure.

Source: the families' modeling files in Hugging Face transformers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a family differs from Llama.

    Attributes:
        tied: Whether the output layer is the embedding, where the file does not say.
        qkv_bias: Whether queries, keys and values have biases, where the file does not say.
        output_bias: Whether attention's output has one if they have.
        mlp_bias: Whether the MLP has biases, where the file does not say.
        head_bias: The output layer has one.
        mlp_matrices: 2 without a gate.
        norm_vectors: Vectors of ``hidden`` in the norms of a layer; a LayerNorm has two.
        final_norm_vectors: In the norms that belong to no layer.
        qk_norm: What queries and keys are normed by: ``head`` for a vector as wide as one head,
            ``all`` for one as wide as all of them.
        positions: Learned positions, more than the longest sequence; None for computed ones.
        router_bias: The router has a value for each expert.
        is_gated_query: Each head's output has a gate.
    """

    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    mlp_matrices: int = 3
    norm_vectors: int = 2
    final_norm_vectors: int = 1
    qk_norm: str = ""
    positions: int | None = None
    router_bias: bool = False
    is_gated_query: bool = False


_PLAIN = Family()
_LAYER_NORM = Family(
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    mlp_matrices=2,
    norm_vectors=4,
    final_norm_vectors=2,
)
_GEMMA = Family(tied=True)
_QWEN2 = Family(qkv_bias=True)
_QWEN3 = Family(qk_norm="head")
_QWEN3_NEXT = Family(qk_norm="head", is_gated_query=True)

_FAMILIES = {
    "llama": Family(output_bias=True),
    "qwen2": _QWEN2,
    "qwen2_moe": _QWEN2,
    "qwen2_vl": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "qwen3_vl_moe_text": _QWEN3,
    "qwen3_next": _QWEN3_NEXT,
    "qwen3_5_text": _QWEN3_NEXT,
    "qwen3_5_moe_text": _QWEN3_NEXT,
    "gemma": _GEMMA,
    "gemma2": Family(tied=True, norm_vectors=4),
    "gemma3": Family(tied=True, norm_vectors=4, qk_norm="head"),
    "gemma3_text": Family(tied=True, norm_vectors=4, qk_norm="head"),
    "olmo2": Family(qk_norm="all"),
    "olmo3": Family(qk_norm="all"),
    "minimax_m2": Family(qk_norm="all"),
    "glm4_moe": Family(router_bias=True),
    "gpt_oss": Family(qkv_bias=True, output_bias=True, router_bias=True),
    "gpt2": replace(_LAYER_NORM, tied=True, positions=0),
    # Its table of positions has two rows more than there are positions.
    "opt": replace(_LAYER_NORM, tied=True, positions=2),
    # Attention and MLP side by side, behind one LayerNorm
    "phi": replace(_LAYER_NORM, head_bias=True, norm_vectors=2),
    "falcon": Family(tied=True, mlp_matrices=2, norm_vectors=2, final_norm_vectors=2),
    "gpt_neox": _LAYER_NORM,
    "starcoder2": replace(_LAYER_NORM, tied=True),
}


def family_of(architecture: str) -> Family:
    """Return the family of a ``model_type``; that of Llama for one that is not known."""
    return _FAMILIES.get(architecture, _PLAIN)
