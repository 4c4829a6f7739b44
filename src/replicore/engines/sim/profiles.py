"""Devices in numbers, and the step of a model on them. Pure.

A profile says what one core can do, by its data sheet, and how much of that engines get out of it,
by measurement: each term of a step is the time that the data sheet promises, times a factor. The
factors were fitted to published and own measurements, see each profile's ``source``; how far off
they are stands there too. They rank layouts; they promise nothing about a machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2
from typing import Literal

from replicore.engines.sim.steptime import StepTime
from replicore.models.shape import ModelShape

# Not from ``units``, which takes longer to import than the simulator may to start.
GIB = 2**30

Batching = Literal["independent", "continuous", "static"]

# Bytes of a key or a value in the KV cache, and of a weight where the shape does not tell.
_KV_BYTES = 2
_WEIGHT_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one core of a device does, the core being what a replica's ``tp`` counts.

    Attributes:
        batching: How engines batch there.
        cores: Of one machine; None where machines differ.
        memory_bytes: That an engine uses of one core's; None where cores have none of their own.
        reserved_bytes: Of it, what is neither weights nor KV cache.
        bytes_per_s: Memory bandwidth of one core.
        flops_per_s: Dense 16-bit operations a second of one core.
        weights: How many times longer than at ``bytes_per_s`` reading the weights takes.
        kv: The same for the KV cache.
        decode: How many times longer than at ``flops_per_s`` a decoding sequence takes.
        prefill: The same for a prompt.
        layer_s: Of each layer, whatever the tp: launches, and collectives where they do not depend
            on how many take part.
        hop_s: Of each layer, for each doubling of the tp.
        sequence_s: Of each sequence in a step, on the host.
        legal_tp: Tensor-parallel degrees that the device supports; None for any power of two.
        aligned: Whether a replica's cores must start on a multiple of its tp.
        out_of_memory: What its runtime says when the memory is full.
    """

    batching: Batching
    cores: int | None
    memory_bytes: int | None
    reserved_bytes: int
    bytes_per_s: float
    flops_per_s: float
    weights: float
    kv: float
    decode: float
    prefill: float
    layer_s: float
    hop_s: float = 0.0
    sequence_s: float = 0.0
    legal_tp: tuple[int, ...] | None = None
    aligned: bool = False
    out_of_memory: str
    source: str


# The factors of both Neuron profiles. Prefill: a fifth of the peak, the middle of what is measured.
_NEURON_SOURCE = (
    "weighted least squares on 78 rows of AWS's decoder tables for inf2 and trn1 (TPOT: mean error "
    "7.9 %, worst 22.5 %; trn2, 70B, TP 64: -8 %); prefill 16 to 23 % of the peak in the same "
    "tables, error about 27 %; reserved: what rank 0 of Llama 3.1 8B had beside weights and KV"
)

_NEURON_FULL = "Failed to allocate 2.000GB (usage: tensors) on ND 0:NC 0"
NO_MEMORY = "cannot allocate memory"

_TRN2 = Profile(
    batching="static",
    cores=64,
    memory_bytes=24 * GIB,
    reserved_bytes=9 * GIB // 4,
    bytes_per_s=2.9e12 / 4,
    flops_per_s=667e12 / 4,
    weights=1.36,
    kv=2.30,
    decode=0.0,
    prefill=5.0,
    layer_s=2 * 77e-6,
    legal_tp=(1, 2, 4, 8, 16, 32, 64),
    aligned=True,
    out_of_memory=_NEURON_FULL,
    source=f"trn2.48xlarge with LNC 2; {_NEURON_SOURCE}",
)

PROFILES = {
    "trn2": _TRN2,
    # One fit is for both: the coefficients are those of trn2.
    "inf2": replace(
        _TRN2,
        cores=24,
        memory_bytes=16 * GIB,
        bytes_per_s=820e9 / 2,
        flops_per_s=190e12 / 2,
        legal_tp=(1, 2, 4, 8, 24),
        aligned=False,
        source=f"inf2.48xlarge; {_NEURON_SOURCE}",
    ),
    "h100": Profile(
        batching="continuous",
        cores=8,
        memory_bytes=72 * GIB,
        reserved_bytes=17 * GIB // 4,
        bytes_per_s=3.35e12,
        flops_per_s=989e12,
        weights=1.14,
        kv=0.97,
        decode=1.38,
        prefill=2.5,
        layer_s=44.5e-6,
        hop_s=2 * 5.7e-6,
        sequence_s=64e-6,
        legal_tp=(1, 2, 4, 8),
        out_of_memory="CUDA out of memory. Tried to allocate 2.00 GiB",
        source=(
            "H100 SXM; relative least squares on 40 rows of aiconfigurator's published corpus "
            "(vLLM, Llama 70B FP8, TP 2, 4 and 8, 4 to 64 in flight; TPOT: median error 4.5 %, "
            "90 % within 8 %); prefill: between 4 % over and 59 % below their TTFT at 4 in flight, "
            "which has waiting in it; reserved: vLLM 0.19's defaults; 72 GiB is 0.9 of the 80"
        ),
    ),
    "cpu": Profile(
        batching="continuous",
        cores=None,
        memory_bytes=None,
        reserved_bytes=GIB // 4,
        bytes_per_s=16e9,
        flops_per_s=40e9,
        weights=1.0,
        kv=1.0,
        decode=1.0,
        prefill=1.0,
        layer_s=0.0,
        hop_s=2 * 50e-6,
        out_of_memory=NO_MEMORY,
        source=(
            "llama.cpp with SmolLM2 135M (4 bits) on one core of an AMD EPYC of 2023: TTFT 0.43 s "
            "for 64 tokens, TPOT 12.9 ms alone, 9.5 ms on two cores (benchmarks/results/"
            "sweep_demo.json); the rates are what was reached, so that all factors are 1"
        ),
    ),
}


def step_time(
    profile: Profile,
    shape: ModelShape,
    *,
    tp: int,
    batch_size: int,
    max_model_len: int,
    parameters: int | None = None,
) -> StepTime:
    """Return the steps of a replica of ``tp`` cores.

    A static batch reads the whole KV cache that was compiled in, so its steps depend on
    ``batch_size`` and ``max_model_len``, not on what is in them.

    Args:
        parameters: Weights, by number; None: as many as the shape's bytes are at 16 bits. So
            weights of 8 bits count half, as their arithmetic does where it is twice as fast.
    """
    weights = parameters or shape.weight_bytes // _WEIGHT_BYTES
    bandwidth = tp * profile.bytes_per_s
    flops = tp * profile.flops_per_s
    layers = shape.layers * (profile.layer_s + profile.hop_s * log2(tp))
    fixed = profile.weights * shape.weight_bytes / bandwidth + layers
    kv_token = profile.kv * kv_token_bytes(shape, tp=tp) / bandwidth
    static = profile.batching == "static"
    # Two operations for a weight; four for a pair of tokens, a head and a value of it: scores, and
    # their sum.
    pair = 4 * shape.layers * shape.heads * shape.head_dim / flops
    return StepTime(
        decode_s=fixed + (batch_size * max_model_len * kv_token if static else 0.0),
        sequence_s=profile.sequence_s + profile.decode * 2 * weights / flops,
        context_token_s=0.0 if static else kv_token,
        prefill_s=fixed,
        prompt_token_s=profile.prefill * 2 * weights / flops,
        prompt_pair_s=profile.prefill * pair,
    )


def kv_token_bytes(shape: ModelShape, *, tp: int) -> int:
    """Return what one token takes in the KV caches of all ranks together, in bytes.

    A rank has one KV head at least, so beyond as many ranks as KV heads it grows with the tp.
    """
    return 2 * shape.layers * max(shape.kv_heads, tp) * shape.head_dim * _KV_BYTES


def kv_capacity(profile: Profile, shape: ModelShape, *, tp: int) -> int | None:
    """Return the tokens that the KV cache of a replica holds; None where memory sets no limit."""
    if profile.batching == "static" or profile.memory_bytes is None:
        return None
    room = tp * (profile.memory_bytes - profile.reserved_bytes) - shape.weight_bytes
    return max(0, room // kv_token_bytes(shape, tp=tp))


def replica_bytes(
    profile: Profile, shape: ModelShape, *, tp: int, batch_size: int, max_model_len: int
) -> int:
    """Return the memory that a replica needs at least: weights, KV cache, and what is reserved.

    A static batch has its whole KV cache; continuous batching must have room for one sequence.
    """
    tokens = max_model_len * (batch_size if profile.batching == "static" else 1)
    kv = tokens * kv_token_bytes(shape, tp=tp)
    return shape.weight_bytes + kv + tp * profile.reserved_bytes
