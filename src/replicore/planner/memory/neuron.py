"""What one core of a Neuron replica holds.

The engine's own sum, split into what it is made of, so that a plan and ``replicore up`` agree. The
KV cache is allocated for all slots of the compiled batch, each as long as what was compiled for.
Rank 0 is meant: it keeps embedding and output layer whole, and so has the least left.
"""

from __future__ import annotations

from replicore.engines.neuron.memory import (
    OVERHEAD_BYTES,
    compiled_prompt,
    has_flash_attention,
    heads_per_rank,
    replica_memory_bytes,
)
from replicore.models.shape import ModelShape
from replicore.planner.memory.rank import RankMemory, Refusal
from replicore.spec.tables import NeuronSpec
from replicore.units import GIB


def neuron_rank(
    shape: ModelShape,
    spec: NeuronSpec,
    *,
    tp: int,
    lnc: int,
    batch_size: int,
    max_model_len: int,
    core_bytes: int,
) -> RankMemory:
    """Return what rank 0 holds.

    kv = batch_size x max_model_len x 2 L heads_per_rank d x bytes of an element

    Args:
        core_bytes: Memory of a logical core.

    Raises:
        InfeasiblePlan: More prompt is to be compiled for than fits into a sequence.
    """
    needed = replica_memory_bytes(
        shape,
        spec,
        tp=tp,
        lnc=lnc,
        batch_size=batch_size,
        max_model_len=max_model_len,
        paged=False,
    )
    element = 4 if spec.dtype == "float32" else 2
    token = 2 * shape.layers * heads_per_rank(shape, tp) * shape.head_dim * element
    prompt = compiled_prompt(spec, max_model_len)
    scores = -(-shape.heads // tp) * prompt**2 * element
    activation = 0 if has_flash_attention(spec, lnc=lnc, prompt=prompt) else scores
    kv = batch_size * max_model_len * token
    return RankMemory(
        capacity=core_bytes,
        weights=needed // tp - kv - activation - OVERHEAD_BYTES,
        kv=kv,
        kv_per_token=token,
        activation=activation,
        overhead=OVERHEAD_BYTES,
    )


def refuse(memory: RankMemory, *, batch_size: int, max_model_len: int) -> Refusal | None:
    """Return why a compiled model would not load; None where it fits."""
    short = -memory.left
    if short <= 0:
        return None
    return Refusal(
        reason=(
            f"rank 0 needs {memory.needed / GIB:.1f} GiB of a core's "
            f"{memory.capacity / GIB:.1f} GiB, {memory.kv / GIB:.1f} GiB of it for batch_size = "
            f"{batch_size} sequences of max_model_len = {max_model_len}"
        ),
        short_bytes=short,
        short_tokens=-(-short // memory.kv_per_token),
    )
