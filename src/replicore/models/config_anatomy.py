"""From the values of a ``config.json`` to a model's anatomy. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicore.models.anatomy import Anatomy
from replicore.models.config_values import ConfigValues
from replicore.models.config_weights import read_weight_format
from replicore.models.families import Family, family_of
from replicore.models.parts import Experts, LatentAttention, LinearAttention, Window

_INTERMEDIATE = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "inner_dim")
_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "experts_per_token", "num_experts_per_token", "moe_topk")
_EXPERT_WIDTH = ("moe_intermediate_size", "expert_intermediate_size", "intermediate_size")
_SHARED_WIDTH = ("shared_expert_intermediate_size", "shared_intermediate_size")
_SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")

# Where a file does not say it, an MLP is so many times as wide as the model.
_USUAL_WIDENING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """The sizes that shape and anatomy share; ``kv_heads`` and ``head_dim`` of all heads."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_model_len: int


def read_anatomy(config: ConfigValues, sizes: Dimensions) -> Anatomy:
    """Return the anatomy as far as the file tells it; what it does not is as in Llama."""
    family = family_of(config.architecture)
    experts = _experts(config, sizes.layers, family)
    qkv_bias = _has_bias(config, "attention_bias", family.qkv_bias)
    return Anatomy(
        layers=sizes.layers,
        hidden=sizes.hidden,
        heads=sizes.heads,
        kv_heads=sizes.kv_heads,
        head_dim=sizes.head_dim,
        vocab=sizes.vocab,
        intermediate=_intermediate(config, sizes.hidden),
        mlp_matrices=family.mlp_matrices,
        tied=config.is_true("tie_word_embeddings", default=family.tied),
        qkv_bias=qkv_bias,
        output_bias=qkv_bias and family.output_bias,
        mlp_bias=_has_bias(config, "mlp_bias", family.mlp_bias),
        head_bias=family.head_bias,
        qk_norm=_qk_norm(config, sizes, family),
        sinks=config.architecture == "gpt_oss",
        query_gate=config.is_true("attn_output_gate", default=family.is_gated_query),
        norm_vectors=family.norm_vectors,
        final_norm_vectors=family.final_norm_vectors,
        positions=0 if family.positions is None else sizes.max_model_len + family.positions,
        experts=experts,
        latent=_latent(config),
        window=_window(config, sizes.layers),
        linear=_linear(config, sizes.hidden),
        weights=read_weight_format(config, layers=sizes.layers, is_mixture=experts is not None),
    )


def _has_bias(config: ConfigValues, name: str, default: bool) -> bool:
    """Falcon and StarCoder 2 have one word for all biases."""
    for key in ("use_bias", "bias"):
        default = config.is_true(key, default=default)
    return config.is_true(name, default=default)


def _intermediate(config: ConfigValues, hidden: int) -> int:
    # Llama 4's intermediate_size is that of its experts.
    names = ("intermediate_size_mlp", *_INTERMEDIATE)
    return config.find(names) or _USUAL_WIDENING * hidden


def _qk_norm(config: ConfigValues, sizes: Dimensions, family: Family) -> int:
    """Return the parameters of the norms of queries and keys of one layer."""
    if config.architecture == "glm4_moe" and config.is_true("use_qk_norm"):
        return 2 * sizes.head_dim
    if family.qk_norm == "all":
        return (sizes.heads + sizes.kv_heads) * sizes.head_dim
    return 2 * sizes.head_dim if family.qk_norm == "head" else 0


def _experts(config: ConfigValues, layers: int, family: Family) -> Experts | None:
    count = config.find(_EXPERTS)
    if count is None or count < 2:
        return None
    width = config.find(_EXPERT_WIDTH)
    moe_layers = _moe_layers(config, layers)
    if width is None or moe_layers == 0:
        return None
    return Experts(
        layers=moe_layers,
        count=count,
        per_token=min(count, config.find(_PER_TOKEN) or 2),
        intermediate=width,
        shared_intermediate=_shared_width(config, width),
        router_bias=_has_router_bias(config, family),
        biases=config.architecture == "gpt_oss",
        shared_gate=config.find(("shared_expert_intermediate_size",)) is not None,
    )


def _shared_width(config: ConfigValues, width: int) -> int:
    if config.architecture.startswith("llama4"):
        return width
    return config.find(_SHARED_WIDTH) or width * (config.find(_SHARED) or 0)


def _has_router_bias(config: ConfigValues, family: Family) -> bool:
    corrected = config.text("topk_method") == "noaux_tc"
    return corrected or config.is_true("use_routing_bias", default=family.router_bias)


def _moe_layers(config: ConfigValues, layers: int) -> int:
    """Return how many layers have experts; each family says it its own way."""
    dense = set(config.numbers("mlp_only_layers"))
    dense |= set(range(config.find(("first_k_dense_replace",)) or 0))
    every = config.numbers("moe_layer_freq")
    if every:
        return sum(every)
    step = config.find(("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq")) or 1
    # The last layer of each group of `step` has them.
    return sum(layer not in dense and (layer + 1) % step == 0 for layer in range(layers))


def _latent(config: ConfigValues) -> LatentAttention | None:
    kv_rank = config.find(("kv_lora_rank",))
    if kv_rank is None:
        return None
    nope = config.find(("qk_nope_head_dim",)) or 0
    return LatentAttention(
        query_rank=config.find(("q_lora_rank",)) or 0,
        kv_rank=kv_rank,
        rope_dim=config.size(("qk_rope_head_dim",)),
        nope_dim=nope,
        value_dim=config.find(("v_head_dim",)) or nope,
        index_heads=config.find(("index_n_heads",)) or 0,
        index_dim=config.find(("index_head_dim",)) or 0,
    )


def _window(config: ConfigValues, layers: int) -> Window | None:
    tokens = config.find(("sliding_window", "attention_chunk_size"))
    if tokens is None or not config.is_true("use_sliding_window", default=True):
        return None
    windowed = _windowed_layers(config, config.texts("layer_types"), layers)
    return Window(tokens=tokens, layers=windowed) if windowed else None


def _windowed_layers(config: ConfigValues, kinds: Sequence[str], layers: int) -> int:
    """Return how many layers have a window: as listed, else by the family's pattern."""
    if kinds:
        return sum(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
    pattern = config.find(("sliding_window_pattern", "_sliding_window_pattern"))
    usual = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "gpt_oss": 2, "llama4_text": 4}
    period = pattern or usual.get(config.architecture)
    # The last layer of each period sees all.
    return layers if period is None else layers - layers // period


def _linear(config: ConfigValues, hidden: int) -> LinearAttention | None:
    """Return the layers with a gated delta rule (Qwen3-Next, Qwen 3.5).

    Parameters: the projections of queries, keys, values, gates and two numbers per head, the
    convolution, the head's norm and the output. State: a matrix for each head, and what the
    convolution looks back at.
    """
    count = sum(kind == "linear_attention" for kind in config.texts("layer_types"))
    heads = config.find(("linear_num_value_heads",))
    if not count or heads is None:
        return None
    value_dim = config.size(("linear_value_head_dim",))
    key_dim = config.size(("linear_key_head_dim",))
    keys, values = config.size(("linear_num_key_heads",)) * key_dim, heads * value_dim
    convolved = 2 * keys + values
    kernel = config.find(("linear_conv_kernel_dim",)) or 4
    projections = hidden * (convolved + values + 2 * heads) + values * hidden
    return LinearAttention(
        layers=count,
        parameters=projections + kernel * convolved + 2 * heads + value_dim,
        state_values=heads * key_dim * value_dim + (kernel - 1) * convolved,
    )
