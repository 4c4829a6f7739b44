from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.engines.vllm.split import split_problems
from replicore.models.formats import in_format
from replicore.models.shape import ModelShape
from replicore.models.variants import find_variant
from tests.unit.engines.vllm.plans import SHAPE


def shape(name: str) -> ModelShape:
    found = find_variant(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "degrees"),
    [
        ("Llama-3.3-70B-Instruct", {1, 2, 4, 8, 16, 32, 64}),
        # 28 heads, 4 key/value heads: 7 divides the heads, and neither 7 nor 4 the other
        ("Qwen2.5-7B-Instruct", {1, 2, 4}),
        # 14 heads, 2 key/value heads, but 151936 is not divisible by 14
        ("Qwen2.5-0.5B-Instruct", {1, 2}),
        # latent attention is not split by key/value heads
        ("DeepSeek-V3", {1, 2, 4, 8, 16}),
    ],
)
def test_degrees_without_problems_are_those_that_vllm_takes(name: str, degrees: set[int]) -> None:
    assert {tp for tp in range(1, 65) if not split_problems(shape(name), tp)} == degrees


@pytest.mark.parametrize(
    ("heads", "kv_heads", "most", "degrees"),
    [
        (32, 8, 8, [1, 2, 4, 8]),
        (32, 8, 64, [1, 2, 4, 8, 16, 32]),
        (32, 8, 7, [1, 2, 4]),
        (9, 3, 9, [1, 3, 9]),
        (14, 2, 14, [1, 2, 14]),  # 7 ranks cannot share 2 heads of keys evenly
        (12, 4, 12, [1, 2, 4, 12]),  # 3 and 6 neither divide 4 nor are its multiples
        (40, 40, 8, [1, 2, 4, 5, 8]),
        (32, 1, 4, [1, 2, 4]),
    ],
)
def test_degrees_deal_out_all_heads_evenly(
    heads: int, kv_heads: int, most: int, degrees: list[int]
) -> None:
    model = replace(SHAPE, heads=heads, kv_heads=kv_heads, vocab=64 * 315)

    assert [tp for tp in range(1, most + 1) if not split_problems(model, tp)] == degrees


def test_a_width_that_is_only_inferred_forbids_nothing() -> None:
    odd = replace(SHAPE, weight_bytes=SHAPE.weight_bytes + 10**8)

    assert SHAPE.anatomy is None
    assert [tp for tp in (1, 2, 4, 8, 16, 32) if split_problems(odd, tp)] == []


@pytest.mark.parametrize(
    ("name", "tp", "problem"),
    [
        ("Qwen2.5-7B-Instruct", 8, "num_attention_heads = 28 is not divisible by tp = 8"),
        (
            "Qwen2.5-7B-Instruct",
            7,
            "num_key_value_heads = 4 is neither divisible by tp = 7 nor does it divide it",
        ),
        (
            "Qwen2.5-0.5B-Instruct",
            14,
            "vocab_size = 151936, padded to 151936, is not divisible by tp = 14",
        ),
        ("Qwen3-30B-A3B", 5, "moe_intermediate_size = 768 is not divisible by tp = 5"),
    ],
)
def test_problem_names_the_value_of_the_config_that_forbids_the_split(
    name: str, tp: int, problem: str
) -> None:
    assert any(found.startswith(problem) for found in split_problems(shape(name), tp))


def test_block_of_scales_is_not_cut_by_a_split() -> None:
    """Qwen3-30B-A3B in 8 bits: 768 / 4 = 192, and a scale is for 128."""
    model = in_format(shape("Qwen3-30B-A3B"), "fp8-block")

    assert split_problems(model, 2) == ()
    assert split_problems(model, 4) == (
        "moe_intermediate_size = 768 leaves 192 for each of tp = 4 ranks, "
        "no multiple of the 128 values that share a scale",
    )


def test_weights_without_blocks_are_split_at_any_width() -> None:
    assert split_problems(in_format(shape("Qwen3-30B-A3B"), "fp8"), 4) == ()


def test_experts_that_kernels_pad_are_split_at_any_width() -> None:
    # gpt-oss in mxfp4: 2880 / 4 = 720 is no multiple of 32
    assert split_problems(shape("gpt-oss-120b"), 4) == ()
