"""Replicas on CPU cores: one memory for all of them, or for those of one NUMA node."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from replicore.engines.llamacpp_memory import (
    kv_element_bytes,
    replica_memory_bytes,
)
from replicore.engines.llamacpp_options import context_per_slot
from replicore.models.shape import ModelShape
from replicore.planner.memory.rank import RankMemory, Refusal
from replicore.units import GIB


def llamacpp_replica(
    shape: ModelShape,
    *,
    tp: int,
    batch_size: int,
    max_model_len: int,
    memory_bytes: int,
    replicas: int = 1,
    options: Mapping[str, str] = MappingProxyType({}),
) -> RankMemory:
    """Return what one of ``replicas`` llama.cpp servers holds of its share of the memory.

    ``left`` is its share of what all of them leave. The engine's own sum, split into its parts, so
    that a plan and ``replicore up`` agree.

    Args:
        tp: Cores, that is threads, of a replica.
        memory_bytes: For all replicas together.
        options: Of ``engine.args``.
    """
    needed = replica_memory_bytes(
        shape, tp=tp, batch_size=batch_size, max_model_len=max_model_len, options=options
    )
    token = shape.kv_bytes_per_token(kv_element_bytes(options))
    kv = batch_size * context_per_slot(max_model_len) * token
    logits = batch_size * shape.vocab * 4
    return RankMemory(
        capacity=memory_bytes // replicas,
        weights=shape.weight_bytes,
        kv=kv,
        kv_per_token=token,
        activation=logits,
        overhead=needed - shape.weight_bytes - kv - logits,
    )


def refuse(memory: RankMemory, *, replicas: int) -> Refusal | None:
    """Return why so many replicas do not fit into the memory they share; None where they do."""
    short = -memory.left
    if short <= 0:
        return None
    fits = replicas * memory.capacity // memory.needed
    return Refusal(
        reason=(
            f"{replicas} replicas of {memory.needed / GIB:.2f} GiB each need more than the "
            f"{replicas * memory.capacity / GIB:.2f} GiB that they share; {fits} fit"
        ),
        short_bytes=short * replicas,
        short_tokens=-(-short // memory.kv_per_token) if memory.kv_per_token else 0,
    )
