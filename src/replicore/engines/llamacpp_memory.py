"""What a llama.cpp replica needs in memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicore.engines.llamacpp_options import DEFAULTS, context_per_slot, default_step, integer
from replicore.errors import ConfigError
from replicore.models.shape import ModelShape
from replicore.wording import listed, quoted

MIB = 1024 * 1024

# Bytes of one element in the types that llama.cpp keeps keys and values in: a block's bytes over
# its elements (ggml-common.h)
KV_ELEMENT_BYTES = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}

# Python, xllamacpp's code, 130 thread stacks: 50 MB measured
PROCESS_BYTES = 64 * MIB

# Floats that a step's widest layers hold per token, in hidden sizes: 15 measured
WIDTH_IN_HIDDEN = 16


def replica_memory_bytes(
    shape: ModelShape,
    *,
    tp: int,
    batch_size: int,
    max_model_len: int,
    options: Mapping[str, str],
) -> int:
    """Weights + KV cache + a step's activations + logits + prompt cache + the process.

    Replicas of one file share the pages of its weights. They are counted for each replica all the
    same, because llama.cpp copies the types that it reorders for the CPU (Q4_0).
    """
    kv_bytes = shape.kv_bytes_per_token(kv_element_bytes(options))
    step = default_step(options, tp=tp, batch_size=batch_size, max_model_len=max_model_len)
    step = integer(options, "n_ubatch", integer(options, "n_batch", step))
    prompt_cache_mib = integer(options, "cache_ram_mib", int(DEFAULTS["cache_ram_mib"]))
    return (
        shape.weight_bytes
        + batch_size * context_per_slot(max_model_len) * kv_bytes
        + step * WIDTH_IN_HIDDEN * shape.hidden * 4
        + batch_size * shape.vocab * 4
        + max(prompt_cache_mib, 0) * MIB
        + PROCESS_BYTES
    )


def kv_element_bytes(options: Mapping[str, str]) -> float:
    """Return the bytes of one element, the mean of keys' and values'.

    Raises:
        ConfigError: No type of a KV cache.
    """
    return (_element_bytes(options, "cache_type_k") + _element_bytes(options, "cache_type_v")) / 2


def _element_bytes(options: Mapping[str, str], name: str) -> float:
    kind = options.get(name, "f16")
    size = KV_ELEMENT_BYTES.get(kind.lower().removeprefix("ggml_type_"))
    if size is None:
        flag = "--" + name.replace("_", "-")
        valid = listed(KV_ELEMENT_BYTES)
        raise ConfigError(f"engine.args: {flag} {quoted(kind)} is no type of a KV cache ({valid})")
    return size
