from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from replicore.engines.neuron.memory import (
    OVERHEAD_BYTES,
    has_flash_attention,
    heads_per_rank,
    replica_memory_bytes,
)
from replicore.models.shape import ModelShape
from replicore.spec import NeuronSpec
from tests.unit.engines.neuron.deployments import SHAPE, engine

MIB = 2**20

# Llama 3.1 8B
SHAPE_8B = ModelShape(
    architecture="llama",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocab=128_256,
    max_model_len=131_072,
    weight_bytes=16_060_522_240,
    file_format="safetensors",
)


def rank0(shape: ModelShape = SHAPE_8B, **changes: Any) -> float:
    """Return what rank 0 needs, in bytes."""
    sizes: dict[str, Any] = {
        "tp": 8,
        "lnc": 1,
        "batch_size": 32,
        "max_model_len": 4096,
        "paged": False,
    }
    sizes |= {name: changes.pop(name) for name in list(changes) if name in sizes}
    spec = NeuronSpec.model_validate(changes)
    needed = replica_memory_bytes(shape, spec, **sizes)
    return needed / int(sizes["tp"])


def test_rank_0_needs_what_was_measured() -> None:
    # Source: optimum-neuron commit 6373c379: 8029 MiB
    assert rank0() / MIB == pytest.approx(8029, rel=0.02)


def test_kv_cache_is_allocated_for_all_slots() -> None:
    # 2 x 32 layers x 1 head x 128 x 2 bytes x 4096 tokens = 64 MiB for each slot
    assert rank0(batch_size=32) - rank0(batch_size=16) == 16 * 64 * MIB


def test_fewer_cores_keep_more_heads_each() -> None:
    assert rank0(tp=4, batch_size=32) - rank0(tp=4, batch_size=16) == 16 * 128 * MIB


def test_paged_cache_holds_at_least_one_sequence_and_a_part_of_each() -> None:
    # 2 x 32 x 1 x 128 x 2 bytes = 16 KiB for each token
    empty = rank0(max_model_len=0, paged=True)

    assert rank0(batch_size=1, max_model_len=32_768, paged=True) - empty == 32_768 * 16_384
    assert rank0(batch_size=64, max_model_len=32_768, paged=True) - empty == 65_536 * 16_384


@pytest.mark.parametrize(
    ("kv_heads", "heads", "tp", "found"),
    [
        (8, 64, 4, 2),
        (8, 64, 8, 1),
        (8, 64, 32, 1),  # each head on 4 ranks: more cores, no less cache
        (8, 24, 12, 2),  # neither divides the other: as many as queries
        (5, 40, 8, 5),
    ],
)
def test_key_value_heads_are_split_or_copied(
    kv_heads: int, heads: int, tp: int, found: int
) -> None:
    shape = dataclasses.replace(SHAPE, kv_heads=kv_heads, heads=heads)

    assert heads_per_rank(shape, tp) == found


def test_scores_of_a_long_prompt_are_kept_where_there_is_no_flash_attention() -> None:
    # 4 heads x 3584 x 3584 x 2 bytes
    with_kernel = rank0(max_model_len=3584, kernels=("attn",))

    assert rank0(max_model_len=3584) - with_kernel == 4 * 3584**2 * 2


@pytest.mark.parametrize(
    ("lnc", "prompt", "kernels", "flash"),
    [
        (2, 8192, (), True),
        (2, 8448, ("attn",), False),  # not a multiple of 512
        (2, 768, (), True),
        (2, 800, (), False),
        (1, 4096, (), True),
        (1, 2048, (), False),
        (1, 2048, ("attn",), True),
        (1, 512, ("attn",), True),
        (1, 256, ("attn",), False),
    ],
)
def test_flash_attention_is_for_these_prompts(
    lnc: int, prompt: int, kernels: tuple[Any, ...], flash: bool
) -> None:
    spec = NeuronSpec(kernels=kernels)

    assert has_flash_attention(spec, lnc=lnc, prompt=prompt) is flash


def test_float32_doubles_the_weights_and_the_cache() -> None:
    narrow, wide = rank0(kernels=("attn",)), rank0(kernels=("attn",), dtype="float32")

    assert wide - OVERHEAD_BYTES == pytest.approx(2 * (narrow - OVERHEAD_BYTES))


@pytest.mark.parametrize(
    ("tp", "fits"),
    [(32, True), (16, True), (4, False)],  # 141 GB / 4 = 35 GB of weights on 24 GiB
)
def test_llama_70b_fits_a_trn2_as_the_tutorial_has_it(tp: int, fits: bool) -> None:
    neuron = engine()
    needed = neuron.memory_bytes(SHAPE, tp=tp, batch_size=4, max_model_len=8192)

    assert (needed <= neuron.detect().replica_memory_bytes(tp)) is fits
