"""What one rank of a vLLM replica holds on a GPU, and how many sequences that is enough for.

vLLM takes ``gpu_memory_utilization`` of the device and fills what the rest leaves with KV cache:

    pool = utilisation x capacity - weights - activation - non-torch

CUDA graphs are captured after that, out of what is left of the device.
"""

from __future__ import annotations

from dataclasses import dataclass

from replicore.engines.vllm.split import split_problems
from replicore.models.infer import anatomy_of
from replicore.models.shape import ModelShape
from replicore.planner.memory.activation import Version, activation_bytes, sampler_of
from replicore.planner.memory.loaded import loaded_weight_bytes
from replicore.planner.memory.rank import RankMemory, Refusal
from replicore.units import GIB

# Of CUDA contexts and NCCL, GiB: (on one rank, on each of several). H100, llm-d-planner PR 205 and
# its table of 0.11.
_NON_TORCH_GIB = {(0, 17): (0.26, 2.12), (0, 0): (0.13, 0.55)}

# 0.5 to 1.9 GiB measured
GRAPHS_BYTES = GIB

# Above it vLLM's server takes more at once, on other devices than A100
_LARGE_DEVICE_BYTES = 70 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmLimits:
    """What a vLLM server is started with.

    Attributes:
        version: Its first two numbers.
        utilisation: ``gpu_memory_utilization``.
        max_num_seqs: Sequences that run at once.
        max_num_batched_tokens: Tokens of one step.
        kv_element_bytes: Of one key's or value's element.
        block_tokens: Tokens of a block of the KV cache.
        pp: Pipeline stages.
        weight_bytes_per_param: Where vLLM quantises what is stored otherwise.
    """

    version: Version = (0, 19)
    utilisation: float = 0.9
    max_num_seqs: int = 1024
    max_num_batched_tokens: int = 8192
    kv_element_bytes: float = 2.0
    block_tokens: int = 16
    pp: int = 1
    weight_bytes_per_param: float | None = None


def usual_limits(device_bytes: int, *, is_a100: bool = False) -> tuple[int, int]:
    """Return vLLM's own (max_num_seqs, max_num_batched_tokens) for a server on such a device.

    Source: vLLM, ``EngineArgs._set_default_args``.
    """
    large = device_bytes >= _LARGE_DEVICE_BYTES and not is_a100
    return (1024, 8192) if large else (256, 2048)


def vllm_rank(
    shape: ModelShape, *, tp: int, device_bytes: int, limits: VllmLimits = VllmLimits()
) -> RankMemory:
    """Return what one rank holds; ``kv`` is the pool in whole blocks, negative without one."""
    model = anatomy_of(shape)
    weights = loaded_weight_bytes(
        shape, tp=tp, pp=limits.pp, weight_bytes_per_param=limits.weight_bytes_per_param
    )
    activation = activation_bytes(
        model,
        tp=tp,
        sequences=limits.max_num_seqs,
        tokens=limits.max_num_batched_tokens,
        sampler=sampler_of(limits.version),
    )
    other = non_torch_bytes(limits.version, tp * limits.pp)
    pool = round(limits.utilisation * device_bytes) - weights - activation - other
    layers = -(-model.attention_layers // limits.pp)
    token = model.rank_kv_bytes_per_token(tp, limits.kv_element_bytes)
    token = round(token * layers / model.attention_layers) if model.attention_layers else 0
    return RankMemory(
        capacity=device_bytes,
        weights=weights,
        kv=_whole_blocks(pool, limits.block_tokens * token),
        kv_per_token=token,
        activation=activation,
        overhead=other + GRAPHS_BYTES,
    )


def non_torch_bytes(version: Version, ranks: int) -> int:
    """Return what is allocated past torch on each of ``ranks`` devices."""
    one, several = next(gib for since, gib in _NON_TORCH_GIB.items() if version >= since)
    return round((one if ranks == 1 else several) * GIB)


def _whole_blocks(pool: int, block: int) -> int:
    return pool if pool < 0 or block <= 0 else pool // block * block


def max_concurrency(
    shape: ModelShape, memory: RankMemory, *, tp: int, tokens: int, limits: VllmLimits
) -> float:
    """Return how many sequences of ``tokens`` the pool holds without preemption.

    Layers with a window stop to grow, so that long sequences take less than their tokens.
    """
    model = anatomy_of(shape)
    stage = -(-model.attention_layers // limits.pp) / max(1, model.attention_layers)
    each = model.sequence_kv_bytes(tokens, tp, limits.kv_element_bytes) * stage
    return max(0, memory.kv) / each if each > 0 else float(limits.max_num_seqs)


def refuse(
    shape: ModelShape,
    *,
    tp: int,
    device_bytes: int,
    max_model_len: int,
    limits: VllmLimits = VllmLimits(),
) -> Refusal | None:
    """Return why vLLM would not start: a split that it cannot make, or too little memory."""
    problems = split_problems(shape, tp)
    if problems:
        return Refusal(reason="; ".join(problems))
    memory = vllm_rank(shape, tp=tp, device_bytes=device_bytes, limits=limits)
    if memory.kv < 0:
        return _no_room(memory, max_model_len, limits)
    share = max_concurrency(shape, memory, tp=tp, tokens=max_model_len, limits=limits)
    if share < 1:
        return _too_short(memory, max_model_len, share)
    return None


def _no_room(memory: RankMemory, max_model_len: int, limits: VllmLimits) -> Refusal:
    return Refusal(
        reason=(
            f"weights of {_gib(memory.weights)} and a step's {_gib(memory.activation)} are "
            f"{_gib(-memory.kv)} more than {limits.utilisation:.0%} of a device with "
            f"{_gib(memory.capacity)}"
        ),
        short_bytes=-memory.kv,
        short_tokens=max_model_len,
    )


def _too_short(memory: RankMemory, max_model_len: int, share: float) -> Refusal:
    held = int(share * max_model_len)
    needed = memory.kv / share if share else max_model_len * memory.kv_per_token
    return Refusal(
        reason=(
            f"the KV cache of {_gib(memory.kv)} on each rank holds {held} tokens, "
            f"{max_model_len - held} less than one sequence of max_model_len = {max_model_len}"
        ),
        short_bytes=round(needed) - memory.kv,
        short_tokens=max_model_len - held,
    )


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB"
