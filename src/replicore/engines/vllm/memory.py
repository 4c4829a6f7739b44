"""What a vLLM replica needs in memory. Pure.

vLLM takes its KV cache in one piece: what ``cpu_kv_cache`` says on CPU cores, and whatever the
memory fraction leaves on a CUDA device. So on CPU cores the need is a fact; on a device it is the
least with which the replica is of use.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from replicore.errors import ConfigError, InfeasiblePlan
from replicore.models.shape import ModelShape
from replicore.units import GIB, MIB, format_size
from replicore.wording import quoted

# Python, torch and vLLM in each of: API server, engine core, every rank. 600 to 730 MB measured
# (vLLM 0.32 on CPU cores, a model of two layers).
PROCESS_BYTES = 704 * MIB
_OTHER_PROCESSES = 2

# CUDA context, NCCL's buffers and captured graphs of one device; an allowance, not measured
DEVICE_WORKSPACE_BYTES = 3 * GIB

# vLLM's step: tokens of prompts and outputs that it works on at once, by default (2048 on CPU)
STEP_TOKENS = 2048
DEVICE_STEP_TOKENS = 8192
# Values that a step's widest layers hold per token, in hidden sizes
_WIDTH_IN_HIDDEN = 16

# The cache is paged: a sequence takes what it has, not what it may have. One sequence of full
# length must fit, or vLLM does not start; all slots are counted with this many tokens.
USUAL_TOKENS = 1024

_WIDE = ("float32", "float")

# Share of 16-bit weights that is left of them when vLLM quantizes while it loads. Of files that are
# quantized already it is too little: then vLLM says that memory is short, and replicore does not.
_QUANTIZED = MappingProxyType({"fp8": 0.5, "bitsandbytes": 0.3})


def element_bytes(dtype: str, options: Mapping[str, str]) -> float:
    """Return the size of one element of keys and values.

    Args:
        options: Of ``engine.args``.
    """
    kv_cache_dtype = options.get("--kv-cache-dtype", "auto")
    if kv_cache_dtype.startswith(("fp8", "int8")):
        return 1.0
    if kv_cache_dtype.startswith(("nvfp4", "int4")):
        return 0.5
    return 4.0 if dtype in _WIDE else 2.0


def weight_bytes(shape: ModelShape, dtype: str, options: Mapping[str, str], ranks: int) -> int:
    """Return the size of the weights once they are loaded, without those kept in the host's memory.

    ``shape`` does not tell the type that they are stored in; nearly all have 16 bits, so that
    ``float32`` doubles them. Too much for the rest, never too little.

    Args:
        options: Of ``engine.args``.
    """
    wide = 2.0 if dtype in _WIDE else 1.0
    share = _QUANTIZED.get(options.get("--quantization", options.get("-q", "")), wide)
    offloaded = ranks * _gib(options, "--cpu-offload-gb")
    return max(0, round(shape.weight_bytes * share) - offloaded)


def _gib(options: Mapping[str, str], name: str) -> int:
    """Return the bytes of an option that counts GiB."""
    text = options.get(name, "0")
    try:
        return round(float(text) * GIB)
    except (ValueError, OverflowError):
        raise ConfigError(f"engine.args: {name}: {quoted(text)} is not a number") from None


def kv_bytes_per_token(shape: ModelShape, ranks: int, element: float) -> int:
    """Return the KV cache of one token on all ranks, which keep copies of heads that are few."""
    return shape.kv_bytes_per_token(element) * max(1, ranks // shape.kv_heads)


def cpu_kv_cache_gib(cpu_kv_cache: int, ranks: int) -> int:
    """Return the KV cache of one rank, in whole GiB, as ``VLLM_CPU_KVCACHE_SPACE`` takes it."""
    return max(1, -(-cpu_kv_cache // (ranks * GIB)))


def cpu_memory_bytes(
    shape: ModelShape,
    options: Mapping[str, str],
    *,
    ranks: int,
    dtype: str,
    max_model_len: int,
    kv_cache: int,
) -> int:
    """Weights + KV cache + a step's activations + processes.

    Args:
        options: Of ``engine.args``.
        kv_cache: Of the replica, in bytes.

    Raises:
        InfeasiblePlan: The KV cache does not hold one sequence, so that vLLM would not start.
    """
    cache = cpu_kv_cache_gib(kv_cache, ranks) * GIB * ranks
    token = kv_bytes_per_token(shape, ranks, element_bytes(dtype, options))
    if cache < max_model_len * token:
        needed = -(-max_model_len * token // GIB) * GIB
        raise InfeasiblePlan(
            f"engine.vllm.cpu_kv_cache: {format_size(kv_cache)} holds {cache // token} tokens, "
            f"less than one sequence of layout.max_model_len = {max_model_len}; "
            f"use {format_size(needed)} or more, or shorter sequences"
        )
    processes = (_OTHER_PROCESSES + ranks) * PROCESS_BYTES
    weights = weight_bytes(shape, dtype, options, ranks)
    return weights + cache + _step_bytes(shape, dtype, STEP_TOKENS) + processes


def device_memory_bytes(
    shape: ModelShape,
    options: Mapping[str, str],
    *,
    ranks: int,
    dtype: str,
    batch_size: int,
    max_model_len: int,
) -> int:
    """Weights + the KV cache that is the least of use + a step's activations + workspaces.

    Args:
        options: Of ``engine.args``.
    """
    tokens = max(max_model_len, batch_size * min(USUAL_TOKENS, max_model_len))
    cache = tokens * kv_bytes_per_token(shape, ranks, element_bytes(dtype, options))
    step = _step_bytes(shape, dtype, DEVICE_STEP_TOKENS)
    weights = weight_bytes(shape, dtype, options, ranks)
    return weights + cache + ranks * (step + DEVICE_WORKSPACE_BYTES)


def _step_bytes(shape: ModelShape, dtype: str, tokens: int) -> int:
    return tokens * _WIDTH_IN_HIDDEN * shape.hidden * (4 if dtype in _WIDE else 2)
