"""From ``quantization_config`` to how many bytes each part of a model takes. Pure.

Source: facts of each format: a block's bits and its scales, over its elements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from replicore.models.anatomy import BF16, MATRICES
from replicore.models.config_values import ConfigValues
from replicore.models.parts import WeightFormat

# A 4-bit value of 32 (mxfp4) or 16 (nvfp4) shares a scale of 8 bits.
MXFP4 = 17 / 32
NVFP4 = 0.5 + 1 / 16

# One scale of 4 bytes for a block of 128 x 128
FP8_BLOCK = 1 + 4 / 128**2

# A module of each part, as files call it, by which a list of exceptions is tested
_MODULES = {
    "attention": ("self_attn.q_proj", "self_attn.q_b_proj"),
    "kv": ("self_attn.k_proj",),
    "latent": ("self_attn.kv_a_proj_with_mqa",),
    "linear": ("linear_attn.in_proj_qkv",),
    "mlp": ("mlp.down_proj", "mlp.gate_proj"),
    "experts": ("mlp.experts.0.down_proj", "block_sparse_moe.experts.0.w1"),
    "shared": (
        "mlp.shared_experts.down_proj",
        "mlp.shared_expert.down_proj",
        "feed_forward.shared_expert.down_proj",
    ),
}
_PREFIXES = ("model.layers", "model.language_model.layers", "language_model.model.layers")


def read_weight_format(config: ConfigValues, *, layers: int, is_mixture: bool) -> WeightFormat:
    """Return the format of the weights; of 16 bits where the file has nothing about it."""
    table = config.table("quantization_config")
    if not table:
        wide = "float32" in (config.text("torch_dtype"), config.text("dtype"))
        return WeightFormat(name="fp32", plain=4.0) if wide else BF16
    name, size, group = _element(table)
    if size is None:
        return BF16
    parts = _quantised_parts(table, name, layers=layers, is_mixture=is_mixture)
    return WeightFormat(name=name, quantised=tuple((part, size) for part in parts), group=group)


def _element(table: Mapping[str, Any]) -> tuple[str, float | None, int]:
    """Return (name, bytes of one parameter with its share of the scales, group)."""
    method = str(table.get("quant_method", "")).lower()
    algorithm = str(table.get("quant_algo", "")).upper()
    if method == "mxfp4":
        return "mxfp4", MXFP4, 32
    if "NVFP4" in algorithm:
        return "nvfp4", NVFP4, 16
    if method == "fp8" or "FP8" in algorithm:
        block = table.get("weight_block_size")
        return ("fp8", FP8_BLOCK, 128) if block else ("fp8", 1.0, 1)
    if method == "compressed-tensors":
        return _compressed(table)
    if method == "bitsandbytes":
        return ("bnb4", 0.53, 64) if table.get("load_in_4bit") else ("int8", 1.0, 1)
    return _grouped(method or "int", table.get("bits"), table.get("group_size"), zero=True)


def _compressed(table: Mapping[str, Any]) -> tuple[str, float | None, int]:
    groups = table.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    if not isinstance(weights, Mapping):
        return "compressed-tensors", None, 1
    bits, group = weights.get("num_bits"), weights.get("group_size")
    if weights.get("type") == "float":
        if bits == 4:
            return ("nvfp4", NVFP4, 16) if group == 16 else ("mxfp4", MXFP4, 32)
        return ("fp8", FP8_BLOCK, 128) if weights.get("strategy") == "block" else ("fp8", 1.0, 1)
    return _grouped("int", bits, group, zero=not weights.get("symmetric", True))


def _grouped(
    name: str, bits: object, group: object, *, zero: bool
) -> tuple[str, float | None, int]:
    """A group of g elements shares a scale of 2 bytes, and a zero point as wide as an element."""
    if not isinstance(bits, int) or not 1 <= bits <= 16:
        return name, None, 1
    if not isinstance(group, int) or group <= 0:
        return f"{name}{bits}", bits / 8, 1
    return f"{name}{bits}", bits / 8 + (2 + zero * bits / 8) / group, group


def _quantised_parts(
    table: Mapping[str, Any], name: str, *, layers: int, is_mixture: bool
) -> list[str]:
    """Return the parts that are quantised: all matrices but the exceptions that the file lists."""
    if name == "mxfp4" and is_mixture:
        return ["experts"]
    keys = ("ignore", "modules_to_not_convert", "exclude_modules")
    lists = [table[key] for key in keys if isinstance(table.get(key), list)]
    exceptions = [str(pattern) for patterns in lists for pattern in patterns]
    # What is excepted in the middle is so in most layers; the first and the last may be by choice.
    layer = layers // 2
    return [part for part in MATRICES if not _is_excepted(part, exceptions, layer)]


def _is_excepted(part: str, exceptions: Sequence[str], layer: int) -> bool:
    modules = [f"{prefix}.{layer}.{module}" for prefix in _PREFIXES for module in _MODULES[part]]
    return any(_matches(module, pattern) for pattern in exceptions for module in modules)


def _matches(module: str, pattern: str) -> bool:
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], module) is not None
        except re.error:
            return False
    return module == pattern or fnmatchcase(module, pattern) or module.startswith(pattern + ".")
